# Who waits for a port and gives up: the client leaves, sends QUIT or ABOR, the
# session or the daemon is told to end. The session ends or answers at once,
# and its place is the next one's.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
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
NATPasvRule * pool one wait 10s
EOC

# Connections made in advance: the daemon sleeps for 0.4 s when a session ends.
my @ready = map {
  my %before = map { $_ => 1 } $server->children;
  my $client = Client->connect('127.0.0.1', $server->port);
  ($client->{session}) = grep { !$before{$_} } $server->children;
  $client;
} 1 .. 45;

sub client {
  my (%opt) = @_;
  my $client = shift @ready;
  $client->auth_tls if $opt{tls};
  $client->login;
  return $client;
}

sub is_alive { my ($pid) = @_; return Server::slurp("/proc/$pid/stat") =~ /\) [^Z]/ }

# How many have a place in the queue, as the table says.
sub waiting {
  open my $table, '<:raw', "$server->{dir}/run/natpasv.tab" or die $!;
  read $table, my $head, 20;
  return unpack 'x16 L', $head;
}

my $soon = $ENV{SANITIZE} ? 2 : 1;

# What a session that waits sees, and how long it then stays in the queue.
sub gives_up {
  my ($how, $do, %opt) = @_;
  my $holder = client();
  ($holder->pasv)[1] or die "no port: $holder->{last}";
  my $client = client(%opt);
  my $session = $client->{session};
  $client->send('PASV');
  Net::wait_for(\&waiting, 5) or die 'nobody waits';
  sleep 0.15;
  my $begin = time;
  my @reply = $do->($client, $session);
  my $left = Net::wait_for(sub { !waiting() || !is_alive($session) }, 10);
  my $took = time - $begin;
  cmp_ok($took, '<', $soon, sprintf '%s: out of the queue after %.2f s', $how, $took);

  # Who comes next has the port as soon as it is free.
  my $next = client();
  $next->send('PASV');
  sleep 0.2;
  $begin = time;
  $holder->quit;
  is(($next->reply)[0], 227, '... and the next one gets the port');
  cmp_ok(time - $begin, '<', 0.9 * $soon, '... at once');
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
  sleep 0.3;
  is(waiting(), 1, 'other commands do not end the wait');
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
  sleep 0.5;
  is(waiting(), 5, 'five wait on during a reload');
  $holder->quit;
  is(($clients[0]->reply)[0], 227, '... and the first of them gets the port that comes free');
  my $begin = time;
  $server->stop;
  is_deeply([map { my @reply; 1 until !(@reply = $_->reply(5))[0]; $reply[0] } @clients], [(0) x 5],
    'the daemon ends, and with it who waits');
  cmp_ok(time - $begin, '<', $soon + 0.5, sprintf '... after %.2f s', time - $begin);
}

done_testing;
