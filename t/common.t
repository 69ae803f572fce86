# The headers that the modules share: the same bytes in each directory, and,
# where they need ProFTPD's own functions, driven from a module of their own.

use strict;
use warnings;
use Net 'private';
use Server;
use Test::More;

plan skip_all => Server->unavailable if Server->unavailable;

my ($status, $output) = Server->configtest(modules => ['mod_common_test']);
is($status, 0, 'the daemon takes the configuration') or diag $output;
my @results = $output =~ /^((?:not )?ok \d+ - .*)/mg;
my ($planned) = $output =~ /^1\.\.(\d+)$/m;
is(scalar @results, $planned, 'the module ran all its tests') or diag $output;
for my $result (@results) {
  my ($failed, $name) = $result =~ /^(not )?ok \d+ - (.*)/;
  ok(!$failed, $name);
}
diag $output if grep { /^not / } @results;

# The system log, that is, what proftpd -t prints.
for my $cause ('its directory is writable by everybody', 'it is a symbolic link', 'No such file or directory') {
  like($output, qr/mod_common_test\S* cannot open TestLog '\S+': $cause; using the system log$/m,
    "a log that cannot be opened: $cause");
}
like($output, qr{mod_common_test/0: a line for the system log$}m, 'without a log of its own a line is in the system log');
like($output, qr{mod_other/0: built for ProFTPD 1\.4\.0, this is ProFTPD \S+: rebuild the module$}m, 'a module for another ProFTPD says so');

# Memory stays over reloads, and another daemon has its own.
my @daemons = map { Server->start(modules => ["mod_common_test"], env => { COUNT_LIVES => 1 }) } 1 .. 2;
for my $life (1 .. 4) {
  ok(Net::wait_for(sub { $daemons[0]->log =~ /life $life,/ }, 10), "life $life of the same memory") or diag $daemons[0]->log;
  $daemons[0]->hup if $life < 4;
}
my %descriptors = map { $_ => 1 } $daemons[0]->log =~ /life \d+, descriptor (\d+)/g;
is(scalar keys %descriptors, 1, 'one descriptor in all of them');
unlike($daemons[1]->log, qr/life [^1]/, 'the other daemon is not in its second life');
like($daemons[1]->log, qr/life 1,/, '... but in its first');
$_->stop for @daemons;

done_testing;
