# Sessions of mod_natpasv in "proftpd -t", with a clock of their own: what is
# announced, leased, counted, said and refused, and who may connect.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Server;
use Test::More;
use TestModules;

plan skip_all => Server->unavailable if Server->unavailable;

TestModules::run(map { "mod_natpasv_${_}_test" } qw(say addr from active pools waiting listener pasv refused));

done_testing;
