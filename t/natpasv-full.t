# A pool that is full or nearly so: the port is always from the pool, nobody is
# refused without need, and what killed sessions had comes back. The full
# numbers with LONG.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use JSON::PP;
use POSIX ();
use Server;
use Test::More;
use Time::HiRes qw(clock_gettime sleep time CLOCK_MONOTONIC);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $long = $ENV{LONG} && !$ENV{SANITIZE};
my $tool = "$Server::BUILD/tools/natpasv-hold";
plan skip_all => "$tool is not built" unless -x $tool;

my $server = Server->start(modules => ['mod_natpasv'], config => sub { <<"EOC" });
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool public 30000-30299
NATPasvPool many 31000-31199
NATPasvPool one 32000
NATPasvRule * pool public wait 0s share any
<VirtualHost 127.0.0.2>
Port $_[0]{port}
AuthUserFile $_[0]{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
NATPasvEngine on
NATPasvRule * pool many wait 1s share any
</VirtualHost>
<VirtualHost 127.0.0.3>
Port $_[0]{port}
AuthUserFile $_[0]{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
NATPasvEngine on
NATPasvRule * pool one wait 0s share any
</VirtualHost>
<VirtualHost 127.0.0.4>
Port $_[0]{port}
AuthUserFile $_[0]{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
NATPasvEngine on
NATPasvRule * pool one wait 20s share any
</VirtualHost>
EOC

sub client { Client->connect($_[0] // '127.0.0.1', $server->port)->login }
sub status { return { map { $_->{pool} => $_ } @{ $server->ctl_json('natpasv', 'status')->{pools} } } }

# Takes so many leases of a pool and listens, like other sessions; gone when
# the handle is: its standard input ends with this process.
sub hold {
  my ($count, $pool) = @_;
  pipe my $theirs, my $mine or die $!;
  my $pid = open(my $said, '-|') // die $!;
  if ($pid == 0) {
    open STDIN, '<&', $theirs or die $!;
    exec $tool, "$server->{dir}/run/natpasv.tab", $pool // '30000-30299', $count;
  }
  <$said> == $count or die 'natpasv-hold';
  return { pid => $pid, said => $said, stdin => $mine };
}

sub let_go {
  my ($held) = @_;
  kill 'KILL', $held->{pid};
  close $held->{said};
}

# So many PASVs in one session: codes and ports, in runs of a hundred.
sub many {
  my ($client, $count, $command) = @_;
  my (%codes, %ports);
  my $left = $count;
  while ($left > 0) {
    my $run = $left < 100 ? $left : 100;
    $client->send(join "\r\n", ($command // 'PASV') x $run);
    for (1 .. $run) {
      my ($code, $text) = $client->reply;
      $codes{ $code // 'none' }++;
      $ports{ $1 * 256 + $2 }++ if ($text // '') =~ /,(\d+),(\d+)\)/;
    }
    $left -= $run;
  }
  return (\%codes, \%ports);
}

# All but one.
my $held   = hold(299);
my $client = client();
my $n = $long ? 10_000 : 2_000;
my ($codes, $ports) = many($client, $n);
is_deeply($codes, { 227 => $n }, "299 of 300 held: $n PASVs, all 227");
is_deeply([grep { $_ < 30000 || $_ > 30299 } keys %$ports], [], '... all inside the pool');
is(scalar keys %$ports, 1, '... and all on the one port that is free');

# The whole pool.
$client->pasv;
my $late  = client();
my (@refused, @noop);
for (1 .. 21) {
  my $begin = time;
  my ($code, $text) = $late->cmd('PASV');
  push @refused, time - $begin;
  $code == 425 or diag($text);
  $begin = time;
  $late->cmd('NOOP');
  push @noop, time - $begin;
}
my ($refused, $noop) = map { (sort { $a <=> $b } @$_)[10] * 1000 } \@refused, \@noop;
cmp_ok($refused, '<', 5 * $noop, sprintf '300 of 300 held: 425 in %.2f ms, a NOOP takes %.2f', $refused, $noop);
is(status()->{public}{leased}, 300, '... as the status says');
let_go($held);
my $begin = time;
my $back = Net::wait_for(sub { ($late->cmd('PASV'))[0] == 227 }, 5);
ok($back && time - $begin < 2, 'the holder is killed: a port is free within 2 s');

# 295 of 300 held, many sessions at once: no refusal while a port is free.
$_->leave for $client, $late;
$held = hold(295);

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# So many PASVs with a listing each, in so many sessions: codes, how many ports
# were outside, from when to when each port was taken at the most, and when
# somebody was refused.
sub crowd {
  my ($sessions, $each) = @_;
  my @workers;
  for (1 .. $sessions) {
    my $pid = open(my $out, '-|') // die $!;
    if ($pid == 0) {
      my $client = client('127.0.0.1');
      my (%codes, $outside, @leases, @refusals);
      for (1 .. $each) {
        my $asked = now();
        my (undef, $port) = $client->pasv;
        $codes{ $client->{code} }++;
        $outside++ if defined $port and $port < 30000 || $port > 30299;
        # The data connection, so that the port is used and comes back.
        if (defined $port) {
          my $data = $client->data('127.0.0.1', $port) or $codes{refused}++;
          my ($code, $text) = $client->cmd('NLST');
          push @leases, [$port, $asked, now()];
          $codes{"NLST $code"}++ if $code != 150;
          1 while $data and sysread $data, my $listing, 4096;
          close $data if $data;    # the server lingers until then
          $client->reply if $code == 150;
        } else {
          push @refusals, [$asked, now()];
          sleep 0.002;
        }
      }
      print encode_json({ codes => \%codes, outside => $outside // 0, leases => \@leases, refusals => \@refusals });
      close STDOUT;
      POSIX::_exit(0);
    }
    push @workers, $out;
  }
  my %all = (codes => {}, outside => 0, leases => [], refusals => []);
  for my $worker (@workers) {
    my $result = decode_json(do { local $/; <$worker> });
    $all{codes}{$_} += $result->{codes}{$_} for keys %{ $result->{codes} };
    $all{outside} += $result->{outside};
    push @{ $all{$_} }, @{ $result->{$_} } for qw(leases refusals);
  }
  return \%all;
}

# The refusals in whose time so many ports were never all taken.
sub untrue {
  my ($crowd, $ports) = @_;
  my @changes = sort { $a->[0] <=> $b->[0] || $b->[1] <=> $a->[1] } map { ([$_->[1], 1, $_->[0]], [$_->[2], -1, $_->[0]]) } @{ $crowd->{leases} };
  my (%taken, $taken, @full);
  for (@changes) {
    my ($when, $change, $port) = @$_;
    my $before = $taken // 0;
    $taken += $change if ($taken{$port} += $change) == ($change > 0 ? 1 : 0);
    push @full, [$when] if $taken == $ports and $before < $ports;
    $full[-1][1] = $when if $taken < $ports and $before == $ports;
  }
  my (@untrue, $i);
  for my $refusal (sort { $a->[0] <=> $b->[0] } @{ $crowd->{refusals} }) {
    $i //= 0;
    $i++ while $i < @full and $full[$i][1] < $refusal->[0];
    push @untrue, $refusal if $i == @full or $full[$i][0] > $refusal->[1];
  }
  return @untrue;
}

my $sessions = $long ? 100 : 20;
my $each     = $long ? 200 : 100;
my $crowd    = crowd($sessions, $each);
my %all      = %{ $crowd->{codes} };
my $pasvs    = ($all{227} // 0) + ($all{425} // 0);
is($pasvs, $sessions * $each, "295 of 300 held, $sessions sessions: $pasvs PASVs answered");
is_deeply([grep { !/^(?:227|425)$/ } keys %all], [], '... no port is of two sessions, none fails later') or diag(explain(\%all));
is($crowd->{outside}, 0, '... none is outside');
is(scalar(untrue($crowd, 5)), 0, '... none of ' . ($all{425} // 0) . ' is refused unless the other five are taken');
diag("of $pasvs PASVs for 5 ports, " . ($all{425} // 0) . ' were refused because all were in use') if $long;

# Nobody asks for a second port here, so one is always free for each of five.
my $five = $long ? 4000 : 400;
$crowd = crowd(5, $five);
is_deeply($crowd->{codes}, { 227 => 5 * $five }, "five sessions ask $five times each for the five ports: none is refused");
let_go($held);

# Killed sessions, in a pool of their own.
my $kills = $long ? 1000 : 40;
my ($killed, $granted) = (0, 0);
while ($killed < $kills) {
  my @clients = map { client('127.0.0.2') } 1 .. 20;
  $granted += scalar grep { ($_->pasv)[1] } @clients;
  my @sessions = grep { Server::slurp("/proc/$_/stat") !~ /\) Z/ } $server->children;
  kill 'KILL', @sessions;
  $killed += @sessions;
  $_->close for @clients;
}
is($granted, $killed, "$killed sessions with leases killed with SIGKILL, all had got a port");
my @again = map { client('127.0.0.2') } 1 .. ($long ? 200 : 20);
my %port;
if (!$long) {
  # The rest is taken by one process, through the same table.
  $held = hold(200 - $kills, '31000-31199');
}
$port{ ($_->pasv)[1] // 'none' }++ for @again;
is_deeply([scalar(keys %port), $port{none} // 0], [scalar @again, 0], 'then every port that is asked for is granted');
let_go($held) unless $long;
$_->close for @again;

# One port and no wait: as soon as the session that has it is dead, it is there
# for another.
my ($owner, $heir) = (undef, client('127.0.0.3'));
my $killed_at_once = 0;
for (1 .. 10) {
  my @before = $server->children;
  $owner = client('127.0.0.3');
  my ($session) = grep { my $pid = $_; !grep { $_ == $pid } @before } $server->children;
  ($owner->pasv)[1] or diag $owner->{last};
  kill 'KILL', $session;
  Net::wait_for(sub { Server::slurp("/proc/$session/stat") !~ /\) [^ZX]/ }, 5);
  ($heir->pasv)[1] and $killed_at_once++ or diag $heir->{last};
  $heir->leave;
  $heir = client('127.0.0.3');
}
is($killed_at_once, 10, 'wait 0s: the only port is granted at once when the session that had it is dead');
($heir->pasv)[1] or diag $heir->{last};

# A session in the queue that does not run: the port that it is handed is the
# next one's after a moment.
my @before = $server->children;
my $first = client('127.0.0.4');
my ($session) = grep { my $pid = $_; !grep { $_ == $pid } @before } $server->children;
$first->send('PASV');
ok(Net::wait_for(sub { status()->{one}{waiting} == 1 }, 5), 'a session waits for the only port');
kill 'STOP', $session;
$heir->leave;
my $newcomer = client('127.0.0.4');
$begin = time;
is(($newcomer->cmd('PASV'))[0], 227, 'it is stopped: a newcomer has the port');
cmp_ok(time - $begin, '<', 2.5, '... after a moment');
kill 'CONT', $session;
sleep 0.2;
is(status()->{one}{waiting}, 1, 'it goes on: it waits again');
$newcomer->leave;
is(($first->reply)[0], 227, '... and has the port when that one leaves');

done_testing;
