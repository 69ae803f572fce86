#!/usr/bin/perl
# What the log says of a control connection that died, and whether it is so. In
# the laboratory, with the router that forgets idle connections, and with one
# that does not but drops what it is told to: clients that vanish, that reset,
# that lose their control connection alone.
#
# Twenty sessions of each kind and a path that forgets after 12 s with LONG, else
# a few and 5 s.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use JSON::PP ();
use NatLab;
use POSIX ();
use Scenarios;
use Server;
use Socket ();
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable() || NatLab::unavailable();
plan skip_all => $why if $why;

my ($FORGET, $SESSIONS) = $ENV{LONG} ? (12, 20) : (5, 4);
my ($INTERVAL, $DEADLINE) = $ENV{LONG} ? (25, 30) : (4, 9);
my $RATE = 50_000;

# Two laboratories: one forgets.
my $forgetful = NatLab->new(forget => $FORGET, ports => '2101-2160, 60000-60999');
my $plain     = NatLab->new(ports => '2101-2160, 60000-60999');
my $next = 0;

# A daemon of its own for each, since what one session learns all know.
sub server {
  my ($lab, $rule, $more) = @_;
  my $number = $next++;
  my $server = $lab->server(
    modules => ['mod_keepalive'], port => 2101 + $number,
    config  => sub {
      my ($self) = @_;
      return <<"EOC";
KeepaliveEngine on
@{[$rule ? "KeepaliveRule $rule" : '']}
KeepaliveLog $self->{dir}/keepalive.log
MasqueradeAddress @{[$lab->external]}
PassivePorts @{[60000 + 20 * $number]} @{[60019 + 20 * $number]}
@{[$more // "TransferRate RETR,STOR @{[$RATE / 1024]}\nTimeoutLinger 1"]}
EOC
    },
  );
  $server->file('long', size => $RATE * (40 + 3 * $FORGET));
  $server->file('short', size => $RATE * 3 * $FORGET);
  $server->file('quick', text => 'quick');
  return $server;
}

sub keepalive_log { my ($server) = @_; return map { s/^.*?\]: //r } split /\n/, Server::slurp("$server->{dir}/keepalive.log") }

sub session {
  my ($lab, $server) = @_;
  my $c = Client->connect($lab->external, $server->port, netns => $lab->ns('client'), timeout => 60);
  $c->login;
  $c->cmd('TYPE I');
  return $c;
}

# A transfer that goes on in a process of its own: its data connection. An upload
# is as slow as the server reads, which otherwise has minutes of it in buffers.
sub transfer {
  my ($c, $command, $peer) = @_;
  my ($host, $port) = $c->pasv;
  local $c->{netns} = $peer // $c->{netns};
  my $data = $c->data($host, $port);
  my ($code, $text) = $c->cmd($command);
  die "$command: $text" unless $code == 150;
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    local $SIG{PIPE} = 'IGNORE';
    if ($command =~ /^STOR/) { sleep 10_000 / $RATE while syswrite $data, 'x' x 10_000 }
    else                     { 1 while sysread $data, my $bytes, 1 << 16 }
    POSIX::_exit(0);
  }
  push @{ $c->{movers} }, $pid;
  return $data;
}

sub stop_movers { my ($c) = @_; kill 'KILL', @{ $c->{movers} }; waitpid $_, 0 for @{ delete $c->{movers} } }

# The router drops what belongs to these sockets of a client.
my $cuts = 0;
sub cut {
  my ($lab, @sockets) = @_;
  my $name = "cut$$" . '_' . ++$cuts;
  my $ports = join ', ', map { $_->sockport } @sockets;
  $lab->nft("table ip $name {\n chain forward {\n type filter hook forward priority -10; policy accept;\n"
    . " tcp sport { $ports } drop\n tcp dport { $ports } drop\n }\n}\n");
}

my @scenarios;
my $add = sub { push @scenarios, [@_] };

# The path forgets within the interval, which is the default one.
for my $number (1 .. $SESSIONS) {
  my $server = server($forgetful);
  my $way = $number % 2 ? 'RETR long' : 'STOR up';
  $add->("$way, session $number, a path that forgets after $FORGET s", sub {
    my $c = session($forgetful, $server);
    my $data = transfer($c, $way);
    my @log;
    Net::wait_for(sub { @log = keepalive_log($server) }, 20 + 3 * $FORGET);
    my ($within, $survived, $interval) =
      ($log[0] // '') =~ m{path forgets idle connections within (\d+)s \((\d+)s survived\): 198\.51\.100\.0/24 now has interval (\d+)s$};
    Scenarios::check(defined $within, 'the log names it', $log[0]);
    Scenarios::check($survived < $FORGET && $within >= $FORGET, "... after more than ${survived} s, at most $within s");
    Scenarios::check($within <= 2 * $survived, '... as closely as doubling finds it');
    Scenarios::check($interval <= $survived, "... and the next sessions get $interval s");
    Scenarios::check(length $log[0] <= 160, '... in at most 160 characters', $log[0]);
    sleep 3;
    Scenarios::check(scalar(grep { $_ == $c->{movers}[0] } map { m{/proc/(\d+)$} } glob '/proc/[0-9]*'),
      '... while the data still flow');
    stop_movers($c);
    close $data;

    # The next session of that network, also after a reload.
    $server->hup if $number == 1;
    sleep 2;
    my $report = $server->ctl_json('keepalive', 'status');
    Scenarios::check($report->{networks}[0]{network} eq '198.51.100.0/24' && $report->{networks}[0]{forgotten_s} == $within,
      'status knows it' . ($number == 1 ? ', also after a reload' : ''), $report->{networks}[0]{network});
    $c = session($forgetful, $server);
    Scenarios::check(($c->retr('short', timeout => 30))[0] == 226, 'the next session of the network has its transfer');
    Scenarios::check(($c->cmd('NOOP'))[0] == 200, '... and its control connection');
    Scenarios::check((grep { /forgets/ } keepalive_log($server)) <= 1 + ($number == 1), '... and nothing is said again');
    $c->quit;
  });
}

# A client that vanishes, with all it has, at some second of its transfer.
my @moments = $ENV{LONG} ? map { 1 + 29 * $_ / 19 } 0 .. 19 : (1.2, 2.5, 4.5, 9.2);
for my $moment (@moments) {
  my $server = server($plain, "* interval ${INTERVAL}s deadline ${DEADLINE}s");
  my $way = $moment == $moments[1] ? 'STOR up' : 'RETR long';
  $add->(sprintf('%s, a client that vanishes after %.1f s', $way, $moment), sub {
    my $c = session($plain, $server);
    my $data = transfer($c, $way);
    sleep $moment;
    cut($plain, $c->{socket}, $data);
    my $start = time;
    my $gone = Net::wait_for(sub { !$server->children }, 60);
    Scenarios::check($gone, sprintf('the session ends, after %.1f s', time - $start));
    my @log = keepalive_log($server);
    my ($silent) = "@log" =~ /^(?:RETR|STOR) by 198\.51\.100\.50: no answer for (\d+)s, so the session ends: the client is gone$/;
    Scenarios::check(defined $silent && $silent >= $DEADLINE && $silent <= $DEADLINE + 3,
      '... and the log says that the client is gone', "@log");
    my $report = $server->ctl_json('keepalive', 'status');
    Scenarios::check(!@{ $report->{networks} } && !$report->{forgotten}, '... and nothing of the path');
    stop_movers($c);
  });
}

# The control connection alone is lost: the transfer goes on past the deadline.
for my $way ('RETR long', 'STOR up') {
  my $server = server($plain, '* interval 2s deadline 6s');
  $add->("$way, the control connection alone is lost", sub {
    my $c = session($plain, $server);
    my $data = transfer($c, $way);
    sleep 1.5;
    cut($plain, $c->{socket});
    sleep 16;
    Scenarios::check(scalar($server->children), 'the session goes on long after the deadline');
    Scenarios::check(scalar(grep { -e "/proc/$_/fd" && $_ == $c->{movers}[0] } @{ $c->{movers} }), '... and so does the transfer');
    my @log = keepalive_log($server);
    Scenarios::check(@log == 1 && $log[0] =~ /path forgets/, '... and the log says what was lost', "@log");
    stop_movers($c);
    close $data;
    Scenarios::check(Net::wait_for(sub { !$server->children }, 20), 'after the transfer the deadline ends the session');
    Scenarios::check(keepalive_log($server) == 1, '... without another word');
  });
}

# The same, but the data go to another server: they do not show that the client
# is there.
{
  my $server = server($plain, '* interval 2s deadline 6s',
    "TransferRate RETR @{[$RATE / 1024]}\nTimeoutLinger 1\nAllowForeignAddress on");
  $add->('RETR to another server, the control connection is lost', sub {
    my $c = session($plain, $server);
    my $data = transfer($c, 'RETR long', $plain->ns('inet'));
    sleep 1.5;
    cut($plain, $c->{socket});
    sleep 16;
    Scenarios::check(scalar($server->children), 'the session goes on long after the deadline');
    stop_movers($c);
    close $data;
    Scenarios::check(Net::wait_for(sub { !$server->children }, 20), 'after the transfer the deadline ends the session');
    my @log = keepalive_log($server);
    Scenarios::check(!(grep { /path forgets/ } @log), '... and the path is not said to forget', "@log");
    my $report = $server->ctl_json('keepalive', 'status');
    Scenarios::check(!@{ $report->{networks} } && !$report->{forgotten}, '... nor is anything learnt');
  });
}

# A client that vanishes while ProFTPD waits for it to close the data connection:
# the transfer has ended well, but who was there at its end?
for my $sendfile ('off', 'on') {
  my $server = server($plain, '* interval 1s', "UseSendfile $sendfile\nTimeoutLinger 6\nTimeoutIdle 12");
  $add->("a client that vanishes when all is written, sendfile $sendfile", sub {
    my $c = session($plain, $server);
    my $data = transfer($c, 'RETR quick');
    cut($plain, $c->{socket}, $data);
    Scenarios::check(Net::wait_for(sub { !$server->children }, 40), 'its session ends');
    my @log = keepalive_log($server);
    Scenarios::check(!@log, '... and its path is not said to forget', "@log");
    my $report = $server->ctl_json('keepalive', 'status');
    Scenarios::check(!@{ $report->{networks} } && !$report->{forgotten}, '... nor is anything learnt');
    stop_movers($c);
    close $data;
  });
}

# A path that forgets while sendfile runs, during which nobody looks: known when
# the connection ends.
{
  my $interval = $FORGET + 1;
  my $server = server($forgetful, "* interval ${interval}s", "TimeoutLinger 1\nTimeoutIdle 15");
  $server->file('large', size => 40_000_000);
  $add->('RETR by sendfile, a path that forgets', sub {
    my $c = session($forgetful, $server);
    my ($host, $port) = $c->pasv;
    my $data = $c->data($host, $port);
    $c->send('RETR large');
    sleep 2 * 40_000 * $interval / 40_000_000 while sysread $data, my $bytes, 40_000;
    close $data;
    Scenarios::check(Net::wait_for(sub { !$server->children }, 60), 'the session ends');
    my @log = keepalive_log($server);
    Scenarios::check("@log" =~ /^RETR by \S+: path forgets idle connections within ${interval}s[ :]/, '... and the log says that it forgets', "@log");
  });
}

# A client that resets its connection is there.
for my $when ('between commands', 'during a transfer') {
  my $server = server($plain, '* interval 1s deadline 5s');
  $add->("a client that resets its control connection $when", sub {
    my $c = session($plain, $server);
    my $data = $when =~ /during/ ? transfer($c, 'RETR long') : undef;
    sleep 2.5;
    setsockopt $c->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
    $c->close;
    stop_movers($c) if $data;
    close $data if $data;
    Scenarios::check(Net::wait_for(sub { !$server->children }, 20), 'ends its session');
    my @log = keepalive_log($server);
    Scenarios::check(!@log, '... and is not said to be dead', "@log");
  });
}

# What was learnt outlives ordinary deaths.
{
  my $server = server($plain, '* interval 2s deadline 4s');
  $add->('ten clients that vanish between commands', sub {
    my $c = session($plain, $server);
    my $data = transfer($c, 'RETR long');
    sleep 1.5;
    cut($plain, $c->{socket});
    Net::wait_for(sub { grep { /path forgets/ } keepalive_log($server) }, 20);
    stop_movers($c);
    close $data;
    my @more = map { session($plain, $server) } 1 .. 10;
    cut($plain, map { $_->{socket} } @more);
    Scenarios::check(Net::wait_for(sub { (grep { /is gone/ } keepalive_log($server)) >= 10 }, 30), 'are given up');
    my $report = $server->ctl_json('keepalive', 'status');
    Scenarios::check($report->{gone} >= 10 && @{ $report->{networks} } == 1, '... and wipe out nothing that was known',
      JSON::PP::encode_json($report->{networks}));
  });
}

Scenarios::run(scalar(@scenarios), @scenarios);

done_testing;
