# A session waits for its data connection, and the client has left, or says that
# it does not want it any more: the port comes back within a second. Who only
# looks as if it had left is served.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Limits;
use List::Util qw(min);
use Server;
use Socket qw(MSG_OOB SOL_SOCKET SO_LINGER SHUT_WR);
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $server = Server->start(modules => [qw(mod_tls mod_natpasv)], config => sub { <<"EOC" . Server::tls() });
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool one 30000 quarantine 0s
NATPasvRule * pool one wait 10s
TimeoutStalled 60
EOC
$server->file('hello', text => "hello\n");

sub listens { my ($port) = @_; return grep { (split)[1] =~ /:$port$/ && (split)[3] eq '0A' } split /\n/, Server::slurp('/proc/net/tcp') =~ s/^.*\n//r }
sub is_free { return !listens(sprintf '%04X', 30000) }

sub status { return $server->ctl_json('natpasv', 'status')->{pools}[0] }

sub client {
  my (%opt) = @_;
  my $client = Client->connect('127.0.0.1', $server->port);
  $client->auth_tls if $opt{tls};
  return $client->login;
}

# A client in whose session ProFTPD waits for the data connection.
sub waiting_client {
  my (%opt) = @_;
  my $client = client(%opt);
  @$client{qw(host data_port)} = $client->pasv or die "no port: $client->{last}";
  $client->send($opt{command} // 'RETR hello');
  sleep $opt{after} // 0.2;
  return $client;
}

# What the client does, and how long the port is not free after it.
my %ways = (
  'closes' => sub { $_[0]->close },
  'is killed' => sub {
    my ($client) = @_;
    setsockopt $client->{socket}, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;    # RST
    $client->{tls} ? $client->{socket}->close(SSL_no_shutdown => 1) : $client->close;
  },
  'says QUIT' => sub { $_[0]->send('QUIT') },
  'says ABOR' => sub { $_[0]->send('ABOR') },
);

my $times = $ENV{LONG} ? 25 : 3;
for my $tls (0, 1) {
  for my $way (sort keys %ways) {
    my $longest = 0;
    for my $n (1 .. $times) {
      my $client = waiting_client(tls => $tls, after => 0.15 + 1.2 * $n / $times);
      is_free() and die 'nobody listens';
      my $begin = time;
      $ways{$way}->($client);
      Net::wait_for(\&is_free, 10);
      my $took = time - $begin;
      $longest = $took if $took > $longest;
      $client->close;
    }
    # Who did not notice would wait for 10 s or more.
    cmp_ok($longest, '<', min(5, Limits::slowness()), sprintf 'a client %s%s: its port is free after %.2f s at most, %d times',
      $way, $tls ? ' (TLS)' : '', $longest, $times);
  }
}
is(status()->{unreached}, 8 * $times, 'a listener that a transfer was asked for counts as not reached');

# The words, and what the session does then.
for my $tls (0, 1) {
  my $where = $tls ? ' (TLS)' : '';
  my $client = waiting_client(tls => $tls);
  $client->send('ABOR');
  is_deeply([map { [$client->reply] } 1 .. 2], [
    [425, '425 Unable to build data connection: the client no longer waits for it'],
    [226, '226 Abort successful'],
  ], "ABOR is answered$where");
  is(($client->retr('hello'))[0], 226, '... and the session goes on');
  $client = waiting_client(tls => $tls, command => 'LIST');
  $client->send('QUIT');
  is_deeply([map { ($client->reply)[0] } 1 .. 2], [425, 221], "QUIT is answered$where");
  $client = waiting_client(tls => $tls, command => 'STOR up');
  $client->send('NOOP');
  sleep 1.5;
  $client->send('ABOR');
  is_deeply([map { ($client->reply)[0] } 1 .. 3], [425, 200, 226], "ABOR behind NOOP is seen$where");
  $client->close;
}
{
  my $client = waiting_client();
  send $client->{socket}, "\xff\xf4\xff", MSG_OOB;
  syswrite $client->{socket}, "\xf2ABOR\r\n";
  is_deeply([map { ($client->reply)[0] } 1 .. 2], [425, 226], 'ABOR as RFC 959 has it');
  $client->leave;
}

# Who is served. Stock ProFTPD then reads the control connection during the
# transfer, and may break it off: that is as it was.
sub fetch {
  my ($client) = @_;
  my $data = $client->data('127.0.0.1', $client->{data_port}, 2) or return 'no connection';
  my ($code, $text) = $client->reply;
  return $text unless $code == 150;
  $data = $client->data_tls($data) or return 'no TLS';
  my $bytes = '';
  1 while sysread $data, $bytes, 65536, length $bytes;
  close $data;
  return "150 $bytes";
}

{
  my $client = waiting_client();
  shutdown $client->{socket}, SHUT_WR;
  sleep 0.3;
  like(fetch($client), qr/^150 /, 'a client that only closes its half and then connects is served');
  $client->close;
}
{
  my $client = waiting_client();
  $client->send('QUIT');
  sleep 0.3;
  like(fetch($client), qr/^150 /, 'so is one that says QUIT and then connects');
  my ($code) = $client->reply;
  ($code) = $client->reply if $code == 426;    # 1.3.10 says first that QUIT ended the transfer
  is($code, 221, '... and has its answer');
}
for my $tls (0, 1) {
  my $client = waiting_client(tls => $tls);
  $client->send('NOOP');
  sleep 2;
  like(fetch($client), qr/^150 hello\r?\n/, 'a client that says NOOP and connects two seconds later is served' . ($tls ? ' (TLS)' : ''));
  is_deeply([sort map { ($client->reply)[0] } 1 .. 2], [200, 226], '... and has both answers');
  $client->leave;
}

# QUIT behind a transfer, while the port for that is waited for.
{
  Net::wait_for(\&is_free, 5);
  my $holder = client();
  $holder->pasv;
  my $client = client();
  $client->send("EPSV\r\nLIST\r\nQUIT");
  sleep 0.5;
  $holder->leave;
  my ($code, $text) = $client->reply;
  is($code, 229, 'EPSV, LIST and QUIT in one packet wait for a port');
  ($client->{data_port}) = $text =~ /\|(\d+)\|/;
  like(fetch($client), qr/^150 .*hello\r\n/s, '... and for the listing');
  is_deeply([map { ($client->reply)[0] } 1 .. 2], [226, 221], '... and then the client quits');
}

# ProFTPD's own limit holds as before.
{
  $server->stop;
  $server = Server->start(modules => ['mod_natpasv'], config => sub { <<"EOC" });
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool one 30000 quarantine 0s
NATPasvRule * pool one wait 2s
TimeoutStalled 4
EOC
  $server->file('hello', text => "hello\n");
  my $client = waiting_client(after => 0);
  my $begin = time;
  $client->reply;
  my $took = time - $begin;
  ok($took > 2.5 && $took < 6, sprintf 'TimeoutStalled 4 ends the session after %.1f s', $took);
}

# Waits in vain: EPSV and then PASV is one attempt, and there is no address for
# a transfer after it.
{
  Net::wait_for(\&is_free, 5);
  my $holder = client();
  $holder->pasv;
  my $client = client();
  my $begin = time;
  is_deeply([map { ($client->cmd($_))[0] } 'EPSV', 'PASV'], [425, 425], 'EPSV and then PASV are refused');
  my $took = time - $begin;
  ok($took > 1.9 && $took < 3, sprintf '... after one wait, %.1f s', $took);
  sleep 1.1;
  $begin = time;
  is(($client->cmd('PASV'))[0], 425, 'another attempt');
  cmp_ok(time - $begin, '>', 1.9, '... waits again');

  my $stale = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 30001, Listen => 1, ReuseAddr => 1) or die $@;
  $client->cmd('PORT 127,0,0,1,117,49');
  is(($client->cmd('EPSV'))[0], 425, 'EPSV is refused');
  is_deeply([$client->cmd('RETR hello')], [425, '425 Unable to build data connection: no passive port was available'],
    '... and a transfer then has nowhere to go');
  ok(!IO::Select->new($stale)->can_read(0.3), '... not to the address of a PORT before');
  $client->send('PORT 127,0,0,1,117,49');
  is(($client->reply)[0], 200, 'a new PORT');
  $client->send('RETR hello');
  ok(IO::Select->new($stale)->can_read(2), '... is connected to');
  $client->close;
  $holder->leave;
}

done_testing;
