#!/usr/bin/perl
# All sources of mod_extip dead for an hour, on a clock that runs twenty times as
# fast: what is known is announced, the rounds come as ExtIPRefresh says, and
# when the sources are back it is confirmed by the next. 100 s without LONG.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use Coturn;
use ExtIP;
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(sleep time);

use constant { RATE => 20, REFRESH => 300, RETRY => 5 };

sub figures { $ENV{LONG} ? diag @_ : note @_ }
if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'a fast clock and the sanitizers do not go together' if $ENV{SANITIZE};
my $fast = ExtIP::fast_clock(RATE) or plan skip_all => 'faketime (Debian package faketime) is missing';

# The sources say from where they are asked.
ExtIP::addresses();
my $us = '9.9.9.10';
system("ip addr add $us/32 dev lo") == 0 or die;
sub sources {
  return (
    Nginx->start(host => '127.0.0.2', port => 8080, locations => 'location / { return 200 $remote_addr; }'),
    Coturn->start(host => '127.0.0.3'),
  );
}
my @sources = sources();

# ExtIPRefresh is the default; a session's own timers would end it.
my $server = ExtIP::server(['http://127.0.0.2:8080/', 'stun:127.0.0.3'], sub { <<"EOC" }, env => $fast);
ExtIPBind $us
ExtIPLog $_[0]{dir}/extip.log
MasqueradeAddress 1.2.3.4
TimeoutLogin 0
TimeoutIdle 0
TimeoutNoTransfer 0
TimeoutStalled 0
EOC
my $daemon = $server->pid;
my $ticker = fork // die "fork: $!";
if (!$ticker) {
  1 while sleep 0.1 and kill 'ALRM', $daemon;
  POSIX::_exit(0);
}
END { local $?; if ($ticker) { kill 'KILL', $ticker; waitpid $ticker, 0 } }
sub extip_log { Server::slurp($server->dir . '/extip.log') }
sub report { return $server->ctl_json('extip', 'status')->{answers}[0] }
ok(Net::wait_for(sub { extip_log() =~ /address is now \Q$us\E/ }, 15), 'the address is known');

# How many rounds fail within so many seconds of the first, when each wait is
# shorter by this factor.
sub rounds_in {
  my ($seconds, $factor) = @_;
  my ($n, $wait) = (1, RETRY);
  for (; ($seconds -= $wait * $factor) >= 0; $n++) { $wait = min(2 * $wait, REFRESH) }
  return $n;
}

my $down = $ENV{LONG} ? 3600 : 100;
my $asker = ExtIP::ask_all_the_time($server);
$_->stop('KILL') for @sources;
my $asked = time;
$server->ctl('extip', 'refresh');
ok(Net::wait_for(sub { extip_log() =~ /no decision/ }, 10), 'no source answers');
my $began = time;
sleep $began + $down / RATE - time;

my $before = time;
my $text = ExtIP::status($server);
my $json = report();
my ($least, $most) = (rounds_in(($before - $began) * RATE, 1), rounds_in((time - $asked) * RATE, 0.8));
cmp_ok($json->{failures}, '>=', $least, "after $down s at least $least rounds have failed");
cmp_ok($json->{failures}, '<=', $most, "... and at most $most");
my ($hours, $minutes, $seconds) = $text =~ /^  confirmed   \S+ \S+ \((?:(\d+)h )?(?:(\d+)m )?(\d+)s ago\)$/m;
my $age = ($hours // 0) * 3600 + ($minutes // 0) * 60 + ($seconds // 0);
cmp_ok($age, '>=', $down, 'the status tells the age of the address');
like($text, qr/^  address     \Q$us\E$/m, '... and the address itself');
like($text, qr/^  last round  no source gave a usable answer$/m, '... and what was the matter with the last round');
is(scalar(() = $text =~ /^              last answer .* ago\)$/mg), 2, '... and when each source answered last');

# One of the waits is at most this long now.
my $step = min(RETRY * 2**($json->{failures} - 1), REFRESH);
my ($failed_before, $looked) = (report()->{failures}, time);
@sources = sources();
my $back = time;
my $failed = qr/\Q$us\E confirmed after (\d+) rounds without a decision/;
ok(Net::wait_for(sub { extip_log() =~ $failed }, 2 * REFRESH / RATE), 'the sources are back: confirmed');
my $took = (time - $back) * RATE;
cmp_ok($took, '<', 2 * $step + RATE, "... within one step of $step s, and not with the next");
my %seen = $asker->();
is(join(' ', sort keys %seen), $us, 'the address was announced every time') or diag explain \%seen;
is(scalar(() = extip_log() =~ /no decision/g), 1, 'the log says once that there is no decision');
my ($failures) = extip_log() =~ $failed;
# Waits are at least 0.8 of the step; some may have ended while the sources began.
my $meanwhile = int(($back - $looked) * RATE / (0.8 * $step));
cmp_ok($failures, '<=', $failed_before + $meanwhile + 1, '... by the first round that could, or the one that was under way');
$json = report();
is($json->{failures}, 0, 'the count of failures begins again');
cmp_ok(Server::seconds($json->{confirmed}), '>', Server::seconds($json->{since}) + $down, '... and the age');
figures sprintf '%d s without a source: %d rounds (%d to %d), announced %d times, confirmed %.0f s after the return',
  ($back - $began) * RATE, $failures, $least, $most, $seen{$us} // 0, $took;
ok(!-s "$server->{dir}/ctrls.log" || Server::slurp("$server->{dir}/ctrls.log") !~ /error/i, 'ftpdctl had its answers');

done_testing;
