# Sessions of mod_keepalive in "proftpd -t", with a clock of their own: what is
# done and written, to the second, and when nothing is.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Server;
use Test::More;

plan skip_all => Server->unavailable if Server->unavailable;

for my $module (map { "mod_keepalive_${_}_test" } qw(login transfer reply watch)) {
  my ($status, $output) = Server->configtest(modules => [$module]);
  is($status, 0, "the daemon takes $module") or diag $output;
  my @results = $output =~ /^((?:not )?ok \d+ - .*\n(?:#.*\n)*)/mg;
  is(scalar @results, ($output =~ /^1\.\.(\d+)$/m)[0], '... which runs all its tests') or diag $output;
  for my $result (@results) {
    my ($failed, $name, $why) = $result =~ /^(not )?ok \d+ - ([^\n]*)\n(.*)/s;
    ok(!$failed, $name) or diag $why;
  }
}

done_testing;
