# mod_natpasv with ServerType inetd: no daemon, each session opens the table for
# itself; two never have one port, and what a killed one had comes back.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::INET;
use POSIX ();
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $server = Server->new(port => 2121, modules => ['mod_natpasv'], config => sub { <<"EOC" });
ServerType inetd
NATPasvEngine on
NATPasvLog $_[0]{dir}/natpasv.log
NATPasvPool public 30000-30003 quarantine 0s
NATPasvRule * pool public wait 0s share any
EOC
$server->file('hello', text => "hello\n");

# What inetd does: one process for each connection, which is its descriptors 0
# and 1. Tells which process serves which client's port.
pipe my $told, my $tell or die $!;
my $inetd = do {
  my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 2121, Listen => 20, ReuseAddr => 1) or die $!;
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    $SIG{TERM} = 'DEFAULT';
    $SIG{CHLD} = 'IGNORE';
    %ENV = (%ENV, $server->environment);
    while (1) {
      my $client = $socket->accept or next;
      my $session = fork // die "fork: $!";
      if ($session) {
        syswrite $tell, $client->peerport . " $session\n";
        next;
      }
      $SIG{CHLD} = 'DEFAULT';
      POSIX::dup2(fileno $client, $_) for 0, 1;
      open STDERR, '>>', "$server->{dir}/stderr";
      exec $server->command or POSIX::_exit(127);
    }
  }
  $pid;
};
END { kill 'KILL', $inetd if $inetd }

my %session;

sub client {
  my $client = Client->connect('127.0.0.1', 2121)->login;
  my ($port, $pid) = split ' ', <$told>;
  $session{$port} = $pid;
  $client->cmd('TYPE I');
  $client->{session} = $session{ $client->{socket}->sockport };
  return $client;
}

sub is_alive { my ($pid) = @_; return Server::slurp("/proc/$pid/stat") =~ /\) [^Z]/ }

my $client = client();
my ($address, $port) = $client->pasv;
ok($port >= 30000 && $port <= 30003, 'PASV: a port of the pool');
is($address, '127.0.0.1', '... and the address that was called');
for my $how ([], [epsv => 1]) {
  my ($code, undef, $bytes) = $client->retr('hello', @$how);
  is("$code $bytes", "226 hello\n", 'a download by ' . (@$how ? 'EPSV' : 'PASV'));
  is(($client->stor('upload', 'x' x 100_000, @$how))[0], 226, '... and an upload');
}

# Two at once, again and again: what one has the other does not get.
my $other = client();
my ($same, $none) = (0, 0);
for (1 .. $ENV{LONG} ? 2000 : 200) {
  $_->send($_ == $client ? 'PASV' : 'EPSV') for $client, $other;
  my @ports = map { ($_->reply)[1] =~ /(?:,(\d+),(\d+)\)|\|(\d+)\|)/ ? $3 // $1 * 256 + $2 : 0 } $client, $other;
  $same++ if $ports[0] == $ports[1];
  $none++ if grep { !$_ } @ports;
}
is("$same $none", '0 0', 'two sessions at once never have the same port');

my @more = map { client() } 1 .. 2;
my %held = map { $_ => 1 } map { ($_->pasv)[1] } @more, $client, $other;
is_deeply([sort keys %held], [30000 .. 30003], 'four sessions hold all four ports');
my $fifth = client();
is_deeply([$fifth->cmd('PASV')], [425, "425 Unable to build data connection: no free port in pool 'public' (4 of 4 in use)"],
  'the fifth gets 425 and the cause');
$more[0]->quit;
ok(Net::wait_for(sub { ($fifth->cmd('EPSV'))[0] == 229 }, 2), 'when one leaves its port is free');

# All sessions are killed at once; nobody cleans up after them.
my @killed = map { $_->{session} } $client, $other, $more[1], $fifth;
is(kill('KILL', @killed), 4, 'the sessions that hold them are killed');
Net::wait_for(sub { !grep { is_alive($_) } @killed }, 5);
my @heirs = map { client() } 1 .. 4;
my $begin = time;
my %again;
for my $heir (@heirs) {
  Net::wait_for(sub { my (undef, $port) = $heir->pasv; $again{$port}++ if $port; $port }, 5);
}
is_deeply([sort keys %again], [30000 .. 30003], '... and all four ports are granted again');
cmp_ok(time - $begin, '<', 2, '... within 2 s');
$_->quit for @heirs;
ok(Net::wait_for(sub { !grep { is_alive($_) } values %session }, 5), 'no session is left over');
# On a busy machine a listener is old enough for a line that nobody came.
unlike($server->stderr . Server::slurp("$server->{dir}/natpasv.log"), qr/mod_natpasv(?!.*(?:refused: no free port|is nearly full|never connected to port \d+ of pool 'public', announced (?:by EPSV|with address \S+)$))/m, 'nothing else to complain about');

done_testing;
