package BadRouter;

# A small router of PCP and NAT-PMP that forwards nothing and misbehaves in the
# ways named in the tables below. It listens at an address of its own, in the
# namespace of the test or another one:
#
#   my $router = BadRouter->start(host => '127.0.0.2', outside => '9.9.9.7');
#   $router->does(fault => 'silent')     from now on; nothing: as it should
#   $router->does(result => 8)           each mapping fails with this code
#   $router->does(only => 'natpmp')      or pcp: the other one is an unsupported version
#   $router->does(max => 32, full => 'silent')    entries; else it refuses
#   $router->does(held => 61000)         the port of another host
#   $router->does(add => 1000)           each outer port is another one
#   $router->does(epoch => 5, outside => '9.9.9.77')
#   $router->rules                       as Router has it
#   $router->forget                      its rules, and its epoch starts again
#   $router->requests                    as they came: [time, bytes], ...
#   BadRouter::announce(from => '127.0.0.2', how => 'pcp', ...)   see there

use strict;
use warnings;
use parent 'Daemon';
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use Net;
use POSIX ();
use Socket qw(IPPROTO_IP IP_MULTICAST_IF INADDR_ANY SOCK_RAW inet_aton inet_ntoa pack_sockaddr_in sockaddr_in);
use Storable ();
use Time::HiRes qw(time);

use constant { PORT => 5351, ANNOUNCE_PORT => 5350, ALL_HOSTS => '224.0.0.1' };
use constant { MAPPED => "\0" x 10 . "\xff\xff", HEADER => 24 };

# What is made of a good answer: first that of PCP, then that of NAT-PMP.
sub changed { my ($at, $bytes) = @_; return sub { my ($good) = @_; substr $good, $at, length $bytes, $bytes; return $good } }
sub cut     { my ($length) = @_; return sub { substr $_[0], 0, $length } }
sub longer  { my ($bytes) = @_; return sub { $_[0] . $bytes } }

our %FAULTS = (
  'silent'         => [(sub { () }) x 2],
  'empty'          => [(cut(0)) x 2],
  'short'          => [cut(20), cut(7)],
  'cut'            => [cut(56), cut(12)],
  'long'           => [longer("\0" x 1044), longer("\0")],
  'length'         => [longer("\0\0\0"), longer("\0\0\0")],
  'version'        => [changed(0, "\3"), changed(0, "\1")],
  'request'        => [changed(1, "\1"), changed(1, "\2")],
  'opcode'         => [changed(1, "\x82"), changed(1, "\x81")],
  'inner port'     => [changed(40, "\0\1"), changed(8, "\0\1")],
  'inner port 0'   => [changed(40, "\0\0"), changed(8, "\0\0")],
  'outer port 0'   => [changed(42, "\0\0"), changed(10, "\0\0")],
  'nonce'          => [changed(24, 'x' x 12)],
  'protocol'       => [changed(36, "\x11")],
  'address family' => [changed(44, "\x20\1")],
  'address 0'      => [changed(56, "\0\0\0\0")],
  'option'         => [longer("\2\0\0\1")],
);

# Where an answer comes from, if not from where it was asked.
our @SOURCES = ('another port', 'another address');

# start(host =>, outside =>, [netns =>], [other => a second address of its own])
sub start {
  my ($class, %opt) = @_;
  my $self = bless { host => '127.0.0.2', outside => '9.9.9.7', other => '127.0.0.3', %opt, owner => $$ }, $class;
  $self->{dir} = File::Temp::tempdir('badrouter-XXXXXX', TMPDIR => 1);
  $self->does;
  my $open = sub { IO::Socket::INET->new(LocalAddr => $_[0], LocalPort => $_[1], Proto => 'udp') // die "$_[0]:$_[1]: $!" };
  @$self{qw(socket port address)} = Net::in($self->{netns}, sub {
    ($open->($self->{host}, PORT), $open->($self->{host}, 0), $open->($self->{other}, PORT));
  });
  $self->{pid} = fork // die "fork: $!";
  if ($self->{pid} == 0) {
    $self->serve;
    POSIX::_exit(0);
  }
  $self->watched;
  delete @$self{qw(socket port address)};
  return $self;
}

sub does {
  my ($self, %does) = @_;
  Storable::store(\%does, "$self->{dir}/does.new");
  rename "$self->{dir}/does.new", "$self->{dir}/does" or die "rename: $!";
}

sub slurp { my ($self, $name) = @_; open my $f, '<', "$self->{dir}/$name" or return ''; local $/; return <$f> // '' }

sub rules {
  my ($self) = @_;
  my $rules = eval { Storable::retrieve("$self->{dir}/rules") } // {};
  return map { $rules->{$_} } sort { $a <=> $b } keys %$rules;
}

sub forget   { my ($self) = @_; kill 'HUP', $self->{pid} }
sub requests { my ($self) = @_; return map { my ($at, $hex) = split; [$at, pack 'H*', $hex] } split /\n/, $self->slurp('asked') }

# A router's message to all. From, host order: who sends it, in netns; how: pcp
# or natpmp; epoch; outside: the address that NAT-PMP tells; bytes: others than
# these; spoofed: the address in from is not the sender's.
sub announce {
  my (%opt) = @_;
  my $bytes = $opt{bytes} // ($opt{how} eq 'pcp' ? pack('C C n N N x12', 2, 0x80, 0, 0, $opt{epoch} // 0)
    : pack('C C n N', 0, 0x80, 0, $opt{epoch} // 0) . inet_aton($opt{outside}));
  my $to = pack_sockaddr_in(ANNOUNCE_PORT, inet_aton(ALL_HOSTS));
  Net::in($opt{netns}, sub {
    return spoof($bytes, $to, %opt) if $opt{spoofed};
    my $socket = IO::Socket::INET->new(LocalAddr => $opt{from}, LocalPort => $opt{port} // PORT, Proto => 'udp', ReuseAddr => 1)
      or die "announce from $opt{from}: $!";
    setsockopt $socket, IPPROTO_IP, IP_MULTICAST_IF, inet_aton($opt{from});
    defined $socket->send($bytes, 0, $to) or die "announce: $!";
  });
}

# The kernel adds the checksum of the IP header; UDP needs none.
sub spoof {
  my ($bytes, $to, %opt) = @_;
  socket my $raw, Socket::AF_INET, SOCK_RAW, 255 or die "raw socket: $!";
  setsockopt $raw, IPPROTO_IP, IP_MULTICAST_IF, inet_aton($opt{spoofed}) or die "spoof: $!";
  my $udp = pack('n n n n', PORT, ANNOUNCE_PORT, 8 + length $bytes, 0) . $bytes;
  my $packet = pack('C C n n n C C n', 0x45, 0, 20 + length $udp, 0, 0, 1, 17, 0) . inet_aton($opt{from}) . inet_aton(ALL_HOSTS) . $udp;
  defined send $raw, $packet, 0, $to or die "spoof: $!";
}

# Below: the serving process.

sub serve {
  my ($self) = @_;
  my $parent = getppid;
  @$self{qw(rules began)} = ({}, time - 86_400);
  $SIG{HUP} = sub { @$self{qw(rules began)} = ({}, time); $self->save };
  my $select = IO::Select->new($self->{socket});
  while (getppid == $parent) {
    next unless $select->can_read(1);
    my $client = $self->{socket}->recv(my $request, 1200) // next;
    open my $asked, '>>', "$self->{dir}/asked" or die $!;
    printf $asked "%.3f %s\n", time, unpack 'H*', $request;
    close $asked;
    my $does = Storable::retrieve("$self->{dir}/does");
    my $socket = $self->{ { 'another port' => 'port', 'another address' => 'address' }->{ $does->{fault} // '' } // 'socket' };
    $socket->send($_, 0, $client) for $self->answers($request, (sockaddr_in($client))[1], $does);
  }
}

sub save {
  my ($self) = @_;
  Storable::store($self->{rules}, "$self->{dir}/rules.new");
  rename "$self->{dir}/rules.new", "$self->{dir}/rules" or die "rename: $!";
}

sub answers {
  my ($self, $request, $client, $does) = @_;
  my ($version, $op) = unpack 'C C', $request;
  return unless defined $op and $op < 0x80;
  my $pcp = $version == 2;
  return if !$pcp and $version != 0;
  my $epoch = $does->{epoch} // int(time - $self->{began});
  if ($does->{only} and ($does->{only} eq 'pcp') != $pcp) {
    return $pcp ? pack('C C n N', 0, 0x80 | $op, 1, $epoch) : pack('C C C C N N x12', 2, 0x80 | $op, 0, 1, 1800, $epoch);
  }
  my @good = $pcp ? $self->pcp($request, $op, $epoch, $client, $does) : $self->natpmp($request, $op, $epoch, $client, $does);
  my $fault = ($FAULTS{ $does->{fault} // '' } // [])->[ $pcp ? 0 : 1 ] or return @good;
  return map { $fault->($_) } @good;
}

# Keeps or deletes a mapping: (result, outer port, lifetime), or nothing to be
# silent. Results are those of PCP.
sub map_port {
  my ($self, $client, $inner, $outer, $lifetime, $does) = @_;
  my $rules = $self->{rules};
  return ($does->{result}, $outer, $lifetime) if $does->{result};
  my ($known) = grep { $rules->{$_}{inner} == $inner && $rules->{$_}{host} eq $client } keys %$rules;
  if (!$lifetime) {
    delete $rules->{$known} if $known;
    $self->save;
    return (0, 0, 0);
  }
  if (!$known and $does->{max} and keys %$rules >= $does->{max}) {
    return $does->{full} ? () : (8, $outer, 30);
  }
  return (11, $outer, 30) if $does->{held} and $does->{held} == $outer and $does->{prefer_failure};
  $outer += 1000 if $does->{held} and $does->{held} == $outer;
  $outer = $known // $outer + ($does->{add} // 0);
  $rules->{$outer} = { outer => $outer, inner => $inner, host => $client };
  $self->save;
  return (0, $outer, $lifetime);
}

sub pcp {
  my ($self, $request, $op, $epoch, $client, $does) = @_;
  return if length $request < HEADER;
  return pack('C C C C N N x12', 2, 0x80, 0, 0, 0, $epoch) if $op == 0;
  my ($lifetime, $nonce, $protocol, $inner, $outer) = unpack 'x4 N x16 a12 C x3 n n', $request;
  my ($result, $given, $for) = $self->map_port(inet_ntoa($client), $inner, $outer, $lifetime,
    { %$does, prefer_failure => scalar(substr($request, 60) =~ /^\x02/) }) or return;
  return pack('C C C C N N x12', 2, 0x81, 0, $result, $for, $epoch)
    . pack('a12 C x3 n n', $nonce, $protocol, $inner, $given) . MAPPED . inet_aton($does->{outside} // $self->{outside});
}

sub natpmp {
  my ($self, $request, $op, $epoch, $client, $does) = @_;
  if ($op == 0) {
    my $result = $does->{result} ? 3 : 0;
    return pack('C C n N', 0, 0x80, $result, $epoch) . inet_aton($does->{outside} // $self->{outside});
  }
  return unless $op == 2 and length $request == 12;
  my ($inner, $outer, $lifetime) = unpack 'x4 n n N', $request;
  my ($result, $given, $for) = $self->map_port(inet_ntoa($client), $inner, $outer, $lifetime, $does) or return;
  $result = 4 if $result == 8 and !$does->{result};
  return pack 'C C n N n n N', 0, 0x82, $result, $epoch, $inner, $given, $for;
}

1;
