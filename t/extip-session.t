# mod_extip in "proftpd -t", with a clock of its own: the daemon's life and what
# it shares, the helper as the daemon sees it, what a session announces, which
# ports are forwarded, and ftpdctl.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Server;
use Test::More;
use TestModules;

plan skip_all => Server->unavailable if Server->unavailable;

TestModules::run(map { "mod_extip_${_}_test" } qw(life shared helper session forwards ftpdctl check));

done_testing;
