# Sessions of mod_keepalive in "proftpd -t", with a clock of their own: what is
# done and written, to the second, and when nothing is.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Server;
use Test::More;
use TestModules;

plan skip_all => Server->unavailable if Server->unavailable;

TestModules::run(map { "mod_keepalive_${_}_test" } qw(login transfer reply watch));

done_testing;
