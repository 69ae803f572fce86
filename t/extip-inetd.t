#!/usr/bin/perl
# mod_extip with ServerType inetd: a session uses the table, and has a process of
# its own ask when a round is due, for which no client waits.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use IO::Socket::INET;
use Preload;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
my $bind = $ExtIP::bind;

# A server that is only configured; what inetd does is done here.
sub configured {
  my ($config, %opt) = @_;
  return Server->new(bind => $bind, port => 2121, modules => ['mod_extip'], %opt, config => sub {
    my ($s) = @_;
    return ExtIP::config($s, @web) . "ServerType inetd\nExtIPLog $s->{dir}/extip.log\n$config";
  });
}

my $inetd;
sub inetd {
  my ($server) = @_;
  my $socket = IO::Socket::INET->new(LocalAddr => $bind, LocalPort => 2121, Listen => 20, ReuseAddr => 1) or die $!;
  $inetd = fork // die "fork: $!";
  return if $inetd;
  $SIG{TERM} = 'DEFAULT';
  $SIG{CHLD} = 'IGNORE';
  %ENV = (%ENV, $server->environment);
  while (1) {
    my $client = $socket->accept or next;
    next if fork;
    $SIG{CHLD} = 'DEFAULT';
    POSIX::dup2(fileno $client, $_) for 0, 1;
    open STDERR, '>>', "$server->{dir}/stderr";
    exec $server->command or POSIX::_exit(127);
  }
}

sub stop { kill 'KILL', $inetd; waitpid $inetd, 0 }

sub processes {
  my $here = readlink '/proc/self/ns/net';
  return grep { Server::slurp("/proc/$_/cmdline") =~ /^extip-helper/ && (readlink "/proc/$_/ns/net" // '') eq $here }
    map { /(\d+)/ } glob '/proc/[0-9]*';
}

# Seconds of the processor that a process has had.
sub used {
  my ($pid) = @_;
  my @stat = split ' ', Server::slurp("/proc/$pid/stat") =~ s/.*\)//r;
  return @stat ? ($stat[11] + $stat[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK()) : 0;
}

sub known { my ($server) = @_; return Net::wait_for(sub { Server::slurp("$server->{dir}/extip.log") =~ /address is now 9\.9\.9\.9/ }, 10) }

sub client { return Client->connect($bind, 2121, from => $ExtIP::outside) }

{
  my $server = configured("ExtIPRefresh 1h\n");
  inetd($server);
  my $client = client()->login;
  ok(known($server), 'the first session has the sources asked');
  is(ExtIP::announced($client), '9.9.9.9', '... and announces what they say as soon as it is known');
  is(ExtIP::announced(client()->login), '9.9.9.9', 'so does the next one') for 1 .. 3;
  is($web[0]->requests, 1, 'one round is enough until the next is due');
  ok(Net::wait_for(sub { !processes() }, 10), 'no process is left over');
  unlike($server->stderr, qr/mod_extip/, 'nothing to complain about');
  stop();
}

# Sources that say nothing: no client waits, one process at a time asks.
{
  $_->stop for @web;
  my @deaf = ExtIP::deaf('127.0.0.2', '127.0.0.3');
  my $server = configured("ExtIPRefresh 1h 1s\nExtIPTimeout 20s\nMasqueradeAddress 1.2.3.4\n");
  inetd($server);
  my @took;
  my @clients = map { my $begin = time; my $c = client(); push @took, time - $begin; $c } 1 .. 8;
  my ($longest) = sort { $b <=> $a } @took;
  cmp_ok($longest, '<', 10, 'eight greetings do not wait for sources that hang');
  is(ExtIP::announced($clients[0]->login), '1.2.3.4', 'MasqueradeAddress is announced');
  ok(Net::wait_for(sub { processes() <= 1 }, 10), 'one process asks for all of them');
  ok(Net::wait_for(sub { Server::slurp('/proc/self/net/tcp') =~ / 0300007F:1F90 01 / }, 10), '... which waits for the sources');
  my ($asking) = processes();
  my $before = used($asking);
  sleep 1.5;
  my $spent = used($asking) - $before;
  ok((grep { $_ == $asking } processes()), '... for more than a second');
  cmp_ok($spent, '<', 0.15, '... and has nothing to do meanwhile');
  $_->quit for @clients;
  ok(Net::wait_for(sub { !processes() }, 30), '... and ends after its round');
  stop();
}

# A session that cannot have a process of its own, or whose process cannot have the
# helper, says so, and is served.
for my $case (
  ['no process', Preload::library('no-fork', 'pid_t fork(void) { errno = EAGAIN; return -1; }'), 'Resource temporarily unavailable'],
  ['no descriptor', Preload::no_socket('no-links', 'socketpair', '(type & 15) == SOCK_SEQPACKET', 'EMFILE'), 'Too many open files'],
) {
  my ($name, $env, $reason) = @$case;
  my $server = configured("ExtIPRefresh 1h\nMasqueradeAddress 1.2.3.4\n", env => $env);
  inetd($server);
  is(ExtIP::announced(client()->login), '1.2.3.4', "$name for the round: the session announces MasqueradeAddress");
  ok(Net::wait_for(sub { Server::slurp("$server->{dir}/extip.log") =~ /cannot ask for the external address: \Q$reason\E$/m }, 10), '... and says why')
    or diag Server::slurp("$server->{dir}/extip.log");
  ok(Net::wait_for(sub { !processes() }, 10), '... and nothing is left over');
  stop();
}

# systemd with Accept=yes and no KillMode=process: what a session has started ends
# with it.
{
  my $server = configured("ExtIPRefresh 1h 1s\nExtIPTimeout 30s\n");
  inetd($server);
  my @deaf = ExtIP::deaf('127.0.0.2', '127.0.0.3');
  my $log = sub { Server::slurp("$server->{dir}/extip.log") };
  my $session = sub {
    my $client = client()->login;
    ok(Net::wait_for(sub { processes() }, 10), 'a session has the sources asked');
    Net::wait_for(sub { Server::slurp('/proc/self/net/tcp') =~ / 0200007F:1F90 01 / }, 10);
    $client->quit;
    kill 'KILL', processes();
    Net::wait_for(sub { !processes() }, 10);
  };
  $session->();
  unlike($log->(), qr/KillMode/, '... which ends with it');
  $session->();
  ok(Net::wait_for(sub { $log->() =~ /: 1 round in a row ended with the session and found nothing: .*KillMode=process/ }, 10),
    'the next one says what is the matter') or diag $log->();
  $session->() for 1 .. 2;
  is(join(' ', $log->() =~ /: (\d+) rounds? in a row/g), '1 2', '... and again when that goes on, but not each time');
  undef @deaf;
  @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  my $client = client()->login;
  ok(known($server), 'a round that ends is taken');
  Net::wait_for(sub { !processes() }, 10);
  unlink "$server->{dir}/extip.log";
  $client = client()->login;
  sleep 0.5;
  unlike($log->(), qr/in a row/, '... and ends the counting');
  stop();
}

done_testing;
