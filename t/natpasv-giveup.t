# Who waits for a port and gives up: the client leaves, sends QUIT or ABOR, the
# session or the daemon is told to end. The session ends or answers at once,
# and its place is the next one's.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Limits;
use List::Util qw(min);
use Server;
use Socket qw(MSG_OOB);
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $server = Server->start(modules => [qw(mod_tls mod_natpasv)], config => sub { <<"EOC" . Server::tls() });
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool one 30000 quarantine 0s
NATPasvRule * pool one wait 10s share any
EOC

# Connections made in advance: the daemon sleeps for 0.4 s when a session ends.
my @ready = map {
  my %before = map { $_ => 1 } $server->children;
  my $client = Client->connect('127.0.0.1', $server->port);
  ($client->{session}) = grep { !$before{$_} } $server->children;
  $client;
} 1 .. 56;

sub client {
  my (%opt) = @_;
  my $client = shift @ready;
  $client->auth_tls if $opt{tls};
  $client->login;
  return $client;
}

sub is_alive { my ($pid) = @_; return Server::slurp("/proc/$pid/stat") =~ /\) [^Z]/ }

# Seconds of processor that a process has had.
sub processor { my ($pid) = @_; return (split ' ', Server::slurp("/proc/$pid/schedstat"))[0] / 1e9 }

# How many wait for the port.
sub waiting { return 0 + `$Server::BUILD/tools/natpasv-waiting $server->{dir}/run/natpasv.tab` }

# Who did not notice would be there until the end of the wait of 10 s.
my $soon = 5;

# What a session that waits sees, and how long it then stays in the queue.
sub gives_up {
  my ($how, $do, %opt) = @_;
  my $holder = client();
  ($holder->pasv)[1] or die "no port: $holder->{last}";
  my $client = client(%opt);
  my $session = $client->{session};
  $client->send('PASV');
  Net::wait_for(\&waiting, 5) or die 'nobody waits';
  my $begin = time;
  my @reply = $do->($client, $session);
  Net::wait_for(sub { !waiting() || !is_alive($session) }, 10);
  my $took = time - $begin;
  cmp_ok($took, '<', $soon, sprintf '%s: out of the queue after %.2f s', $how, $took);

  # Who comes next has the port as soon as it is free.
  my $next = client();
  $next->send('PASV');
  Net::wait_for(\&waiting, 5) or die 'nobody waits';
  $begin = time;
  $holder->quit;
  is(($next->reply)[0], 227, '... and the next one gets the port');
  cmp_ok(time - $begin, '<', $soon, '... at once');
  $_->close for $next, $client;
  return @reply;
}

sub ends { my ($session) = @_; return Net::wait_for(sub { !is_alive($session) }, 10) }

for my $tls (0, 1) {
  my $where = $tls ? ' (TLS)' : '';
  gives_up("the client closes$where", sub { $_[0]->close; ends($_[1]) }, tls => $tls);
  gives_up("the client is killed$where", sub {
    my ($client, $session) = @_;
    setsockopt $client->{socket}, Socket::SOL_SOCKET, Socket::SO_LINGER, pack 'II', 1, 0;    # RST
    $tls ? $client->{socket}->close(SSL_no_shutdown => 1) : $client->close;
    ends($session);
  }, tls => $tls);
}
gives_up('the session is told to end', sub { kill 'TERM', $_[1]; ends($_[1]) });
gives_up('the session is killed', sub { kill 'KILL', $_[1]; ends($_[1]) });
my @said;
gives_up('QUIT', sub { $_[0]->send('QUIT'); @said = map { ($_[0]->reply)[0] } 1 .. 2; ends($_[1]) });
is_deeply(\@said, [425, 221], '... with both replies');
gives_up('ABOR', sub { $_[0]->send('ABOR'); @said = map { ($_[0]->reply)[0] } 1 .. 2 });
is_deeply(\@said, [425, 226], '... with both replies');
gives_up('ABOR as RFC 959 has it', sub {
  my ($client) = @_;
  send $client->{socket}, "\xff\xf4\xff", MSG_OOB;
  syswrite $client->{socket}, "\xf2ABOR\r\n";
  @said = map { ($client->reply)[0] } 1 .. 2;
});
is_deeply(\@said, [425, 226], '... with both replies');

# Behind many others a session sleeps for up to 19 s, unless something comes from
# its client. A busy machine takes longer to end a session, so the limit grows
# with its load.
{
  my $many   = 950;
  my $holder = client();
  ($holder->pasv)[1] or die "no port: $holder->{last}";
  pipe my $theirs, my $mine or die $!;
  my $crowd = open(my $said, '-|') // die $!;
  if ($crowd == 0) {
    open STDIN, '<&', $theirs or die $!;
    close $mine;
    exec "$Server::BUILD/tools/natpasv-crowd", "$server->{dir}/run/natpasv.tab", '30000', $many;
  }
  is(0 + <$said>, $many, "$many others wait");
  my @ways = (
    ['closes',         0, sub { $_[0]->close }],
    ['closes in TLS',  1, sub { $_[0]->close }],
    ['is killed',      0, sub { setsockopt $_[0]{socket}, Socket::SOL_SOCKET, Socket::SO_LINGER, pack 'II', 1, 0; $_[0]->close }],
    ['half closes',    0, sub { shutdown $_[0]{socket}, Socket::SHUT_WR }],
    ['says QUIT',      0, sub { $_[0]->send('QUIT') }],
    ['says QUIT in TLS', 1, sub { $_[0]->send('QUIT') }],
    ['says ABOR',      0, sub { $_[0]->send('ABOR') }],
    ['says ABOR with urgent data', 0, sub { send $_[0]{socket}, "\xff\xf4\xff", MSG_OOB; syswrite $_[0]{socket}, "\xf2ABOR\r\n" }],
    ['says NOOP, then QUIT', 0, sub { $_[0]->send('NOOP'); $_[0]->send('QUIT'); $_[0]->close }],
    ['has a session that is told to end', 0, sub { kill 'TERM', $_[0]{session} }],
  );
  for my $way (@ways) {
    my ($how, $tls, $do) = @$way;
    my $client = client(tls => $tls);
    $client->send('PASV');
    Net::wait_for(sub { waiting() == $many + 1 }, 5) or die 'it does not wait';
    my $begin = time;
    $do->($client);
    Net::wait_for(sub { waiting() == $many }, 10);
    my $took = time - $begin;
    cmp_ok($took, '<', min(5, Limits::slowness()), sprintf 'behind them a client %s: out of the queue after %.2f s', $how, $took);
    $client->close;
  }
  close $mine;
  waitpid $crowd, 0;
  $holder->close;
}

# Both in one packet: one try, no wait.
{
  my $holder = client();
  $holder->pasv;
  my $client = client();
  my $begin = time;
  $client->send("PASV\r\nQUIT");
  is_deeply([map { ($client->reply)[0] } 1 .. 2], [425, 221], 'PASV and QUIT in one packet');
  cmp_ok(time - $begin, '<', $soon, '... do not wait');
  $_->close for $holder, $client;
}

# Who only sends more commands still wants the port.
{
  my $holder = client();
  $holder->pasv;
  my $client = client();
  $client->send("PASV\r\nNOOP\r\nSTAT QUIT");
  Net::wait_for(\&waiting, 5);
  $client->send("NOOP\r\nXABOR");
  my $before = processor($client->{session});
  sleep 0.3;
  is(waiting(), 1, 'other commands do not end the wait');
  cmp_ok(processor($client->{session}) - $before, '<', 0.05, '... and do not keep the session busy');
  $holder->quit;
  is(($client->reply)[0], 227, '... for the port');
  is(($client->reply)[0], 200, '... and they have their turn then');
  $client->close;
}

# A reload, then the end of the daemon.
{
  my $holder = client();
  my (undef, $port) = $holder->pasv;
  my @clients = map { client() } 1 .. 5;
  for my $n (1 .. 5) {
    $clients[$n - 1]->send('PASV');
    Net::wait_for(sub { waiting() == $n }, 5);
  }
  $server->hup;
  Net::wait_for(sub { $server->log =~ /received SIGHUP -- master/ });
  is(waiting(), 5, 'five wait on during a reload');
  $holder->quit;
  is(($clients[0]->reply)[0], 227, '... and the first of them gets the port that comes free');
  my $begin = time;
  $server->stop;
  is_deeply([map { my @reply; 1 until !(@reply = $_->reply)[0]; $reply[0] } @clients], [(0) x 5],
    'the daemon ends, and with it who waits');
  cmp_ok(time - $begin, '<', $soon, sprintf '... after %.2f s', time - $begin);
}

done_testing;
