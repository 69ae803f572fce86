package TestModules;

# Modules of t/modules that are tests themselves: they run at the end of the
# configuration, in "proftpd -t", and print what they find as any test does.

use strict;
use warnings;
use Server;
use Test::More;

sub run {
  my (@modules) = @_;
  for my $module (@modules) {
    my ($status, $output) = Server->configtest(modules => [$module]);
    is($status, 0, "the daemon takes $module") or diag $output;
    my @results = $output =~ /^((?:not )?ok \d+ - .*\n(?:#.*\n)*)/mg;
    is(scalar @results, ($output =~ /^1\.\.(\d+)$/m)[0], '... which runs all its tests') or diag $output;
    for my $result (@results) {
      my ($failed, $name, $why) = $result =~ /^(not )?ok \d+ - ([^\n]*)\n(.*)/s;
      ok(!$failed, $name) or diag $why;
    }
  }
}

1;
