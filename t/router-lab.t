# The laboratory of the router: miniupnpd forwards what it is asked for, forgets
# it, and tells of a new address; and the scripted router does each of its faults.

use strict;
use warnings;
use BadRouter;
use IO::Select;
use IO::Socket::INET;
use Net;
use Router;
use Socket qw(IPPROTO_IP IP_ADD_MEMBERSHIP inet_aton);
use Test::More;

if (my $reason = Router::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'the same with the sanitizers: the plain run shows it' if $ENV{SANITIZE};

use constant MAPPED => "\0" x 10 . "\xff\xff";

sub pcp_map {
  my ($client, $inner, $outer, $lifetime, $option) = @_;
  return pack('C C n N', 2, 1, 0, $lifetime) . MAPPED . inet_aton($client)
    . 'ABCDEFGHIJKL' . pack('C x3 n n', 6, $inner, $outer) . MAPPED . "\0\0\0\0" . ($option // '');
}
sub natpmp_map { my ($inner, $outer, $lifetime) = @_; return pack 'C C n n n N', 0, 2, 0, $inner, $outer, $lifetime }

# Who listens on a host for messages of its router.
sub listener {
  my ($netns, $address) = @_;
  return Net::in($netns, sub {
    my $socket = IO::Socket::INET->new(LocalPort => BadRouter::ANNOUNCE_PORT, Proto => 'udp', ReuseAddr => 1) or die "5350: $!";
    setsockopt $socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, inet_aton('224.0.0.1') . inet_aton($address);
    return $socket;
  });
}
sub heard {
  my ($socket, $seconds) = @_;
  IO::Select->new($socket)->can_read(Limits::of($seconds // 1)) or return '';
  my $from = $socket->recv(my $bytes, 1100) // return '';
  return Socket::inet_ntoa((Socket::sockaddr_in($from))[1]) . ' ' . unpack 'H*', $bytes;
}

# The real one.
{
  my $lab = Router->new;
  $lab->hold(61000);
  like(unpack('H*', $lab->ask('server', pcp_map('192.168.1.10', 61001, 61001, 3600)) // ''), qr/^02810000/, 'miniupnpd forwards by PCP');
  my $lan = { outer => 61000, host => '192.168.1.20', inner => 61000 };
  is_deeply([$lab->rules], [$lan, { outer => 61001, host => '192.168.1.10', inner => 61001 }], '... and by NAT-PMP; both are rules');

  my $listen = Net::in($lab->ns('server'), sub { IO::Socket::INET->new(LocalAddr => '192.168.1.10', LocalPort => 61001, Listen => 1) });
  ok(Net::wait_port($lab->external, 61001, $lab->ns('client'), 2), '... through which a client outside gets in');

  my $ear = listener($lab->ns('server'), '192.168.1.10');
  $lab->change_address('9.9.9.77');
  # Some send the announcement of PCP first.
  my @heard;
  ok(Net::wait_for(sub { push @heard, heard($ear); $heard[-1] =~ /^192\.168\.1\.1 0080.{12}0909094d$/ }), 'it tells everybody of a new address') or diag "@heard";
  $lab->change_address('100.64.3.3');
  ok(Net::wait_for(sub { ($lab->ask('server', "\0\0") // '') =~ /^\x00\x80\x00\x03/ }), '... and has none behind another NAT');
  like(unpack('H*', $lab->ask('server', pcp_map('192.168.1.10', 61002, 61002, 3600)) // ''), qr/^02810008.*64400303$/, '... as PCP says with that address');

  $lab->restart_router;
  is_deeply([$lab->rules], [], 'after a restart nothing is forwarded');
}

# The scripted one, on a loopback of its own.
Net::private();
my $router = BadRouter->start;
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', PeerAddr => '127.0.0.2', PeerPort => BadRouter::PORT, Proto => 'udp') or die $!;

# Its answer to a message, in hexadecimal digits; 'silence' if there is none soon
# after it has read the message.
sub ask {
  my ($message) = @_;
  my ($select, $known) = (IO::Select->new($socket), scalar(() = $router->requests));
  $socket->send($message);
  Net::wait_for(sub { $select->can_read(0) || $known < (() = $router->requests) });
  $select->can_read(Limits::of(0.05)) or return 'silence';
  $socket->recv(my $answer, 2000) // return "error $!";
  return unpack 'H*', $answer;
}

my $pcp = pcp_map('127.0.0.1', 61000, 61001, 3600, "\2\0\0\0");
my $good_pcp    = qr/^02810000 00000e10 0001518. 0{24} 4142434445464748494a4b4c 06000000 ee48 ee49 0{20}ffff 09090907$/x;
my $good_natpmp = qr/^00820000 0001518. ee48 ee49 00000e10$/x;
like(ask($pcp), $good_pcp, 'PCP: a mapping');
like(ask(natpmp_map(61000, 61001, 3600)), $good_natpmp, 'NAT-PMP: the same one');
like(ask("\0\0"), qr/^00800000 0001518. 09090907$/x, '... and the address');
like(ask(pack('C C x22', 2, 0)), qr/^02800000 00000000 0001518. 0{24}$/x, 'PCP: the epoch');
is_deeply([$router->rules], [{ outer => 61001, inner => 61000, host => '127.0.0.1' }], 'it is a rule');
is(scalar(() = $router->requests), 4, 'all requests are known');

for my $fault (sort keys %BadRouter::FAULTS) {
  $router->does(fault => $fault);
  unlike(ask($pcp), $good_pcp, "PCP with a fault: $fault");
  unlike(ask(natpmp_map(61000, 61001, 3600)), $good_natpmp, "... NAT-PMP") if $BadRouter::FAULTS{$fault}[1];
}
for my $source (@BadRouter::SOURCES) {
  $router->does(fault => $source);
  is(ask($pcp), 'silence', "an answer from $source is not one");
}

$router->does(result => 13);
like(ask($pcp), qr/^0281000d/, 'a result code that was asked for');
$router->does(only => 'natpmp');
like(ask($pcp), qr/^00810001 ........$/x, 'only NAT-PMP: PCP is an unsupported version');
$router->does(only => 'pcp');
like(ask("\0\0"), qr/^02800001/, '... and the other way round');
$router->does(held => 61002);
like(ask(pcp_map('127.0.0.1', 61002, 61002, 3600, "\2\0\0\0")), qr/^0281000b/, 'the port of another host is refused');
like(ask(pcp_map('127.0.0.1', 61002, 61002, 3600)), qr/^02810000.*ee4af232/, '... or another one is given');
$router->does(epoch => 7, outside => '9.9.9.77');
like(ask("\0\0"), qr/^00800000 00000007 0909094d$/x, 'an epoch and an address that were asked for');
$router->does(max => 2);
like(ask(natpmp_map(61003, 61003, 3600)), qr/^00820004/, 'a full table');
$router->does(max => 2, full => 'silent');
is(ask(natpmp_map(61003, 61003, 3600)), 'silence', '... that says nothing');
like(ask(natpmp_map(61000, 0, 0)), qr/^00820000.*00000000$/, '... until one is deleted');
like(ask(natpmp_map(61003, 61003, 3600)), qr/^00820000/, '... and there is room');
$router->does;
$router->forget;
ok(Net::wait_for(sub { !$router->rules }), 'it forgets what it forwards');
like(ask("\0\0"), qr/^00800000 0000000[0-9]/x, '... and its epoch starts again');

my $ear = listener(undef, '127.0.0.1');
for ([pcp => {}, '127.0.0.2 028000000000000000000009' . '0' x 24], [natpmp => {}, '127.0.0.2 00800000000000090909094d'],
  [natpmp => { from => '127.0.0.9' }, '127.0.0.9 00800000000000090909094d'], [pcp => { spoofed => '127.0.0.1' }, '127.0.0.2 028000000000000000000009' . '0' x 24]) {
  my ($how, $opt, $want) = @$_;
  $router->stop if $router->{pid};
  BadRouter::announce(from => '127.0.0.2', how => $how, epoch => 9, outside => '9.9.9.77', %$opt);
  is(heard($ear), $want, "an announcement of $how" . join '', map { ", $_ $opt->{$_}" } %$opt ? keys %$opt : ());
}

done_testing;
