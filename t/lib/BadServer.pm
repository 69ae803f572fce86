package BadServer;

# A small server of HTTP, HTTPS and STUN that misbehaves in every way named in
# the tables below: a path of its web server, or a port of its own, is a fault.
#
#   my $bad = BadServer->start(host => '127.0.0.2');
#   $bad->http('/drip'), $bad->https('expired', '/good'), $bad->stun('wrong-id'),
#   $bad->stream('http'), $bad->stuns('good'), $bad->cloud('ec2')    ExtIPSource URIs
#   $bad->ca                  the certificate authority of the good certificate
#   $bad->behave; $bad->misbehave;    all that has a fault gives GOOD until then
#   $bad->requests('/drip')   how often a path or a STUN fault was asked for
#   $bad->heads('/drip')      the request headers, of each time
#
# GOOD is the true answer, LIE what must never be believed.

use strict;
use warnings;
use parent 'Daemon';
use Compress::Zlib ();
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL ();
use IO::Socket::SSL::Utils qw(CERT_create KEY_create_rsa PEM_cert2file PEM_key2file);
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF inet_aton);
use Time::HiRes qw(sleep);

use constant { GOOD => '9.9.9.10', LIE => '8.8.4.4' };
use constant HANG => 60;    # seconds; longer than any test waits

our @CERTIFICATES = qw(good named expired selfsigned wrong-name);

# HTTP: what is sent back by path. A code reference gets the connection (and
# the server); text is sent as it is and the connection closed.

sub reply {
  my ($body, %opt) = @_;
  my $length = $opt{length} // length $body;
  my $head = 'HTTP/1.1 ' . ($opt{status} // '200 OK') . "\r\n";
  $head .= 'Content-Type: ' . ($opt{type} // 'text/plain') . "\r\n";
  $head .= "Content-Length: $length\r\n" if $length ne 'none';
  $head .= "$_\r\n" for @{ $opt{headers} // [] };
  return "${head}Connection: close\r\n\r\n$body";
}

sub redirect { my ($to) = @_; return reply('', status => '302 Found', headers => ["Location: $to"]) }

sub packed { my ($how, $body) = @_; return reply($body, headers => ["Content-Encoding: $how"]) }
sub gzip { return Compress::Zlib::memGzip($_[0]) }

# Until the client gives up.
sub hang { my ($client) = @_; 1 while sysread $client, my $more, 4096 }
sub then_hang { my ($text) = @_; return sub { print { $_[0] } $text; hang($_[0]) } }

our %HTTP = (
  '/good' => reply(GOOD . "\n"),
  '/lie'  => reply(LIE . "\n"),
  '/json' => reply('{"ip": "' . GOOD . '"}', type => 'application/json'),

  '/hang-before'  => then_hang(''),
  '/hang-headers' => then_hang("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"),
  '/hang-body'    => then_hang(reply(substr(LIE, 0, 4), length => 7)),
  '/hang-after'   => then_hang(reply(LIE, length => 'none')),
  '/drip'         => sub {
    my ($client) = @_;
    for my $byte (split //, reply(LIE . ' ' x 1000)) { print $client $byte or last; sleep 0.1 }
  },

  '/truncated' => reply(LIE, length => 20),
  '/nothing'   => '',
  '/reset'     => sub { setsockopt $_[0], SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 },
  '/big-body'     => reply(LIE . ' ' x 5000),
  '/endless-body' => sub { my ($client) = @_; print $client reply(LIE, length => 'none'); 1 while print $client ' ' x 1000 },
  '/big-headers'  => reply(LIE, headers => [map { "X-$_: " . 'x' x 70 } 1 .. 70]),
  '/endless-100'  => sub { my ($client) = @_; 1 while print $client "HTTP/1.1 100 Continue\r\n\r\n" },
  '/bad-chunks'   => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" . LIE . "\r\n0\r\n\r\n",
  '/huge-chunk'   => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" . LIE,
  '/not-http'     => 'SSH-2.0-' . LIE . "\r\n",
  '/http-0.9'     => LIE . "\n",
  '/two-lengths'  => reply(LIE, headers => ['Content-Length: 3']),

  # Nobody asked for these.
  '/gzip'         => packed('gzip', gzip(GOOD)),
  '/deflate'      => packed('deflate', Compress::Zlib::compress(GOOD)),
  '/gzip-json'    => packed('gzip', gzip('{"ip": "' . GOOD . '"}')),
  '/gzip-bomb'    => packed('gzip', gzip(GOOD . "\n" x 10_000_000)),
  '/gzip-padded'  => packed('gzip', substr(gzip(GOOD), 0, 3) . "\4" . substr(gzip(GOOD), 4, 6) . pack('v/a', "\0" x 60_000) . substr(gzip(GOOD), 10)),
  '/gzip-cut'     => packed('gzip', substr(gzip(LIE), 0, 15)),
  '/gzip-broken'  => packed('gzip', substr(gzip(LIE), 0, 10) . "\xff" x 20),
  '/gzip-not'     => packed('gzip', LIE),
  '/odd-encoding' => packed('rot13', LIE),
  '/bom'          => reply("\xef\xbb\xbf" . GOOD . "\r\n"),
  '/mapped'       => reply('::ffff:' . GOOD),

  '/image'         => reply("\x89PNG\r\n\x1a\n\0\0\0" . LIE, type => 'image/png'),
  '/html'          => reply('<html><body>Your address is ' . LIE . '</body></html>', type => 'text/html'),
  '/two-addresses' => reply(LIE . "\n" . GOOD . "\n"),
  '/ipv6'          => reply("2001:db8::1\n"),
  '/leading-zeros' => reply('008.008.004.004'),
  '/octal'         => reply('010.8.4.4'),
  '/trailing-text' => reply(LIE . ' is your address'),
  '/empty'         => reply(''),
  '/nul'           => reply(LIE . "\0"),
  '/private'       => reply('192.168.1.10'),
  '/cgnat'         => reply('100.64.0.1'),
  '/loopback'      => reply('127.0.0.1'),
  '/test-net'      => reply('198.51.100.7'),
  '/multicast'     => reply('239.0.0.1'),
  '/zero'          => reply('0.0.0.0'),
  '/client'        => sub { my ($client) = @_; print $client reply($client->peerhost) },
  '/own-address'   => sub { my ($client) = @_; print $client reply($client->sockhost) },

  '/json-missing' => reply('{"address": "' . LIE . '"}'),
  '/json-twice'   => reply('{"ip": "' . GOOD . '", "ip": "' . LIE . '"}'),
  '/json-broken'  => reply('{"ip": "' . LIE . '"'),
  '/json-number'  => reply('{"ip": 134743044}'),

  '/to-good'      => redirect('/good'),
  '/to-good-3'    => redirect('/to-good-2'),
  '/to-good-2'    => redirect('/to-good'),
  '/loop'         => redirect('/loop'),
  '/to-file'      => redirect('file:///etc/passwd'),
  '/to-gopher'    => redirect('gopher://127.0.0.1:25/_x'),
  '/to-other-port' => sub { my ($client, $self) = @_; print $client redirect('http://' . $self->at('http-2') . '/good?2') },
  '/to-longer'    => sub { my ($client, $self) = @_; print $client redirect('http://home.examples:' . $self->port('http') . '/good?3') },
  '/to-shorter'   => sub { my ($client, $self) = @_; print $client redirect('http://home.exampl:' . $self->port('http') . '/good?4') },
  '/to-home'      => sub { my ($client, $self) = @_; print $client redirect('http://HOME.example.:' . $self->port('http') . '/good?5') },
  '/to-https'     => redirect('https://127.0.0.2/good'),
  '/to-loopback'  => redirect('http://127.0.0.1/lie'),
  '/to-decimal'   => redirect('http://2130706433/lie'),
  '/to-localhost' => redirect('http://localhost/lie'),
  '/to-private'   => redirect('http://10.0.0.1/lie'),
  '/to-dash'      => redirect('http://-good.example/lie'),
  '/to-metadata'  => redirect('http://169.254.169.254/latest/meta-data/'),
  '/to-name'      => redirect('http://private.example/lie'),
  '/to-user'      => redirect('//user:word@127.0.0.2/lie'),
  '/to-nowhere'   => redirect(''),

  '/204' => reply('', status => '204 No Content', length => 'none'),
  '/206' => reply(LIE, status => '206 Partial Content'),
  '/403' => reply(LIE, status => '403 Forbidden'),
  '/404' => reply(LIE, status => '404 Not Found'),
  '/500' => reply(LIE, status => '500 Internal Server Error'),
  '/503' => reply(LIE, status => '503 Service Unavailable'),
);

# STUN over UDP: the datagrams that answer a request, given its transaction id,
# the socket, the client and the server.

sub message { my ($type, $id, $attrs) = @_; return pack('n n N', $type, length $attrs, 0x2112a442) . $id . $attrs }
sub attr { my ($type, $value) = @_; return pack('n n', $type, length $value) . $value . "\0" x (-length($value) % 4) }
sub address { my ($ip, $family) = @_; return pack('C C n', 0, $family // 1, 4711) . inet_aton($ip) }

sub mapped {
  my ($ip, $family) = @_;
  my $cookie = pack 'N', 0x2112a442;
  return attr(0x0020, pack('C C n', 0, $family // 1, 4711 ^ 0x2112) . (inet_aton($ip) ^ $cookie));
}

sub success { my ($id, $attrs) = @_; return message(0x0101, $id, $attrs // mapped(LIE)) }
sub failure {
  my ($id, $code, $phrase, $attrs) = @_;
  return message(0x0111, $id, attr(0x0009, pack('n C C', 0, int $code / 100, $code % 100) . $phrase) . ($attrs // ''));
}

our %STUN = (
  'good' => sub { success($_[0], mapped(GOOD)) },
  'wrong-id'     => sub { success($_[0] ^ ("\xff" x 12)) },
  'wrong-cookie' => sub { my $reply = success($_[0]); substr($reply, 4, 1) = "\x20"; $reply },
  'request'      => sub { message(0x0001, $_[0], mapped(LIE)) },
  'indication'   => sub { message(0x0011, $_[0], mapped(LIE)) },
  'wrong-method' => sub { message(0x0103, $_[0], mapped(LIE)) },
  'short-length' => sub { my $reply = success($_[0]); substr($reply, 2, 2) = pack 'n', 8; $reply },
  'long-length'  => sub { my $reply = success($_[0]); substr($reply, 2, 2) = pack 'n', 400; $reply },
  'unpadded'     => sub { message(0x0101, $_[0], pack('n n', 0x8022, 5) . 'abcde' . mapped(LIE)) },
  'past-the-end' => sub { my $reply = success($_[0]); substr($reply, 22, 2) = pack 'n', 12; $reply },
  'fingerprint'  => sub { success($_[0], mapped(LIE) . attr(0x8028, 'abcd')) },
  'no-address'   => sub { success($_[0], '') },
  'ipv6'         => sub { success($_[0], attr(0x0020, pack('C C n', 0, 2, 1) . 'x' x 16)) },
  'family'       => sub { success($_[0], mapped(LIE, 7)) },
  'required'     => sub { success($_[0], mapped(LIE) . attr(0x7abc, 'abcd')) },
  'error'        => sub { failure($_[0], 500, "Server\x1b[2J Error") },
  'bad-error'    => sub { message(0x0111, $_[0], mapped(LIE)) },
  'alternate-loop'     => sub { failure($_[0], 300, 'Try', attr(0x8023, pack('C C n', 0, 1, $_[1]->sockport) . inet_aton($_[1]->sockhost))) },
  'alternate-loopback' => sub { failure($_[0], 300, 'Try', attr(0x8023, address('127.0.0.1'))) },
  'alternate'    => sub { failure($_[0], 300, 'Try', attr(0x8023, pack('C C n', 0, 1, $_[3]->port('stun-good')) . inet_aton($_[1]->sockhost))) },
  'alternate-own'      => sub { failure($_[0], 300, 'Try', attr(0x8023, pack('C C n', 0, 1, $_[3]->port('stun-own-address')) . inet_aton($_[1]->sockhost))) },
  'alternate-port-0'   => sub { failure($_[0], 300, 'Try', attr(0x8023, pack('C C n', 0, 1, 0) . inet_aton($_[1]->sockhost))) },
  'private'      => sub { success($_[0], mapped('10.1.2.3')) },
  'cgnat'        => sub { success($_[0], mapped('100.127.255.254')) },
  'own-address'  => sub { success($_[0], mapped($_[1]->sockhost)) },
  'silent'       => sub { () },
  'third'        => do { my $count = 0; sub { ++$count % 3 ? () : success($_[0], mapped(GOOD)) } },
  'client'       => sub { success($_[0], mapped(join '.', unpack 'C4', (Socket::sockaddr_in($_[2]))[1])) },
  'oversized'    => sub { success($_[0], attr(0x8022, 'x' x 3000) . mapped(LIE)) },
  'empty'        => sub { '' },
  'duplicate'    => sub { (success($_[0], mapped(GOOD)), (success($_[0], mapped(LIE))) x 3) },
  'elsewhere'    => sub {
    my ($id, $socket, $client) = @_;
    my $other = IO::Socket::INET->new(LocalHost => '127.0.0.3', Proto => 'udp') or return;
    $other->send(success($id), 0, $client);
    return;
  },
  # As many as there are, then the true answer, which may be lost once.
  'junk' => sub { (map({ pack 'N*', map { int rand 2**32 } 1 .. 1 + rand 20 } 1 .. 10_000), success($_[0], mapped(GOOD))) },
  'junk-only' => sub { map { pack 'N*', 0x01010000, 0x2112a442, map { int rand 2**32 } 1 .. 3 } 1 .. 10_000 },
);

# STUN over TCP, or whatever else answers there, given the connection, the
# request's transaction id and the server.
our %STREAM = (
  'good'      => sub { my ($client, $id) = @_; print $client success($id, mapped(GOOD)) },
  'client'    => sub { my ($client, $id) = @_; print $client success($id, mapped($client->peerhost)) },
  'alternate' => sub {
    my ($client, $id, $self) = @_;
    print $client failure($id, 300, 'Try', attr(0x8023, pack('C C n', 0, 1, $self->port('stream-good')) . inet_aton($client->sockhost)));
  },
  'alternate-loop' => sub {
    my ($client, $id) = @_;
    print $client failure($id, 300, 'Try', attr(0x8023, pack('C C n', 0, 1, $client->sockport) . inet_aton($client->sockhost)));
  },
  'drip'      => sub { my ($client, $id) = @_; for (split //, success($id, mapped(GOOD))) { print $client $_; sleep 0.005 } },
  'silent'    => \&hang,
  'half'      => sub { my ($client, $id) = @_; print $client substr(success($id), 0, 24); hang($client) },
  'cut'       => sub { my ($client, $id) = @_; print $client substr(success($id), 0, 24) },
  'closed'    => sub { },
  'http'      => sub { my ($client) = @_; print $client reply(LIE, status => '400 Bad Request') },
  'wrong-id'  => sub { my ($client, $id) = @_; print $client success($id ^ ("\xff" x 12)) },
  'huge'      => sub { my ($client, $id) = @_; print $client pack('n n N', 0x0101, 0xfffc, 0x2112a442) . $id . 'x' x 0xfffc },
  'error'     => sub { my ($client, $id) = @_; print $client failure($id, 401, 'Unauthorized') },
);

# The metadata services, as they are when all is well; and with a fault (a path
# before theirs cannot be: a port of their own).
my $TOKEN = 'AQAEAbcd-_==';
my $EC2   = '/latest/meta-data/public-ipv4';
my $GCE   = '/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip';
my $AZURE = '/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress?api-version=2021-02-01&format=text';
my $AZURE_2 = '/metadata/loadbalancer?api-version=2020-10-01';

sub only_with { my ($pattern, $answer, $otherwise) = @_; return sub { $_[0] =~ $pattern ? $answer : reply('', status => $otherwise) } }

sub azure_2 {
  my $addresses = join ', ', map { qq({"frontendIpAddress": "$_", "privateIpAddress": "10.0.0.4"}) } @_;
  return only_with(qr/^metadata: true\r/mi, reply(qq({"loadbalancer": {"publicIpAddresses": [$addresses], "inboundRules": []}})), '400 Bad Request');
}

our %CLOUD = (
  'good' => {
    'PUT /latest/api/token' => only_with(qr/^x-aws-ec2-metadata-token-ttl-seconds: \d+\r/mi, reply($TOKEN), '400 Bad Request'),
    "GET $EC2"   => only_with(qr/^x-aws-ec2-metadata-token: \Q$TOKEN\E\r/mi, reply(GOOD), '401 Unauthorized'),
    "GET $GCE"   => only_with(qr/^metadata-flavor: google\r/mi, reply(GOOD, headers => ['Metadata-Flavor: Google']), '403 Forbidden'),
    "GET $AZURE" => only_with(qr/^metadata: true\r/mi, reply(GOOD), '400 Bad Request'),
  },
  # No address at all; for Azure, it is a Standard SKU.
  'none' => {
    'PUT /latest/api/token' => reply($TOKEN),
    "GET $GCE"     => reply('', status => '404 Not Found', headers => ['Metadata-Flavor: Google']),
    "GET $AZURE"   => reply(''),
    "GET $AZURE_2" => azure_2(GOOD),
  },
  'bad' => {
    'PUT /latest/api/token' => reply("two words"),
    "GET $GCE"     => reply(LIE),
    "GET $AZURE"   => reply(''),
    "GET $AZURE_2" => azure_2(LIE, GOOD),
  },
);

# Names of the DNS server (option dns => 1, port 53): their addresses; undef is
# not answered at all, and what is not here does not exist.
our %DNS = (
  'good.example'    => [GOOD],
  'two.example'     => [GOOD, LIE],
  # The server itself, under names that begin alike.
  'home.example'    => ['127.0.0.2'],
  'home.examples'   => ['127.0.0.2'],
  'home.exampl'     => ['127.0.0.2'],
  'private.example' => ['10.0.0.1'],
  'none.example'    => [],
  'dead.example'    => undef,
  'dead-2.example'  => undef,
);

sub start {
  my ($class, %opt) = @_;
  my $self = bless { host => '127.0.0.2', %opt, owner => $$ }, $class;
  $self->{dir} = File::Temp::tempdir('badserver-XXXXXX', TMPDIR => 1);
  chmod 0755, $self->{dir};
  $self->make_certificates;

  my %tcp = map { $_ => [sub { $self->serve_http(@_) }] } 'http', 'http-2';
  for my $cloud (keys %CLOUD) {
    $tcp{"cloud-$cloud"} = [sub { $self->serve_http(@_, $CLOUD{$cloud}) }];
  }
  for my $which (@CERTIFICATES) {
    $tcp{"tls-$which"} = [sub { $self->serve_http(@_) }, $which];
    $tcp{"tlsstream-$which"} = [sub { $self->serve_stream(@_) }, $which, 'good'];
  }
  $tcp{"stream-$_"} = [sub { $self->serve_stream(@_) }, undef, $_] for keys %STREAM;
  for my $name (keys %tcp) {
    my $socket = IO::Socket::INET->new(LocalHost => $self->{host}, Listen => 64, Proto => 'tcp') or die "listen: $!";
    $self->{port}{$name} = $socket->sockport;
    $self->{tcp}{ fileno $socket } = [$socket, @{ $tcp{$name} }];
  }
  for my $name (keys %STUN) {
    my $socket = IO::Socket::INET->new(LocalHost => $self->{host}, Proto => 'udp') or die "udp: $!";
    $self->{port}{"stun-$name"} = $socket->sockport;
    $self->{udp}{ fileno $socket } = [$socket, sub { $self->answer_stun(@_, $name) }];
  }
  if ($self->{dns}) {
    my $socket = IO::Socket::INET->new(LocalHost => $self->{host}, LocalPort => 53, Proto => 'udp') or die "port 53: $!";
    $self->{udp}{ fileno $socket } = [$socket, \&answer_dns];
  }
  $self->{pid} = fork // die "fork: $!";
  if ($self->{pid} == 0) {
    $self->serve;
    POSIX::_exit(0);
  }
  $self->watched;
  delete @$self{qw(tcp udp)};
  return $self;
}

sub port { my ($self, $name) = @_; return $self->{port}{$name} // die "no port for '$name'" }
sub at   { my ($self, $name) = @_; return "$self->{host}:" . $self->port($name) }

sub http   { my ($self, $path) = @_; return 'http://' . $self->at('http') . $path }
sub https  { my ($self, $which, $path) = @_; return 'https://' . $self->at("tls-$which") . $path }
sub stun   { my ($self, $fault) = @_; return 'stun:' . $self->at("stun-$fault") }
sub stream { my ($self, $fault) = @_; return 'stun:' . $self->at("stream-$fault") . '?transport=tcp' }
sub stuns  { my ($self, $which) = @_; return 'stuns:' . $self->at("tlsstream-$which") }
sub cloud  { my ($self, $which, $state) = @_; return "$which:" . $self->at('cloud-' . ($state // 'good')) }
sub ca    { my ($self) = @_; return "$self->{dir}/ca.pem" }

sub behave    { my ($self) = @_; open my $flag, '>', "$self->{dir}/behave" or die $! }
sub misbehave { my ($self) = @_; unlink "$self->{dir}/behave" }
sub heads     { my ($self, $what) = @_; open my $file, '<', $self->record($what) or return (); local $/ = "\0"; return <$file> }
sub requests  { my ($self, $what) = @_; return scalar(() = $self->heads($what)) }

# Below: the serving process.

sub record { my ($self, $what) = @_; return "$self->{dir}/asked-" . ($what =~ tr{/}{_}r) }

sub asked {
  my ($self, $what, $head) = @_;
  open my $file, '>>', $self->record($what) or return;
  print $file $head // '', "\0";
}

sub behaves { my ($self) = @_; return -e "$self->{dir}/behave" }

sub serve {
  my ($self) = @_;
  my $parent = getppid;
  setpgrp;    # so that one signal ends the connections too
  $SIG{CHLD} = 'IGNORE';
  $SIG{PIPE} = 'IGNORE';
  $SIG{TERM} = sub { $SIG{TERM} = 'DEFAULT'; kill 'TERM', -$$; POSIX::_exit(0) };
  $self->serve_tcp;
  my $select = IO::Select->new(map { $_->[0] } values %{ $self->{udp} });
  while (getppid == $parent) {
    for my $socket ($select->can_read(1)) {
      my $client = $socket->recv(my $request, 2000) // next;
      $self->{udp}{ fileno $socket }[1]->($socket, $client, $request);
    }
  }
  kill 'TERM', -$$;
}

# Connections are served by processes that take turns to accept one. Whoever
# accepts it forks the next if none waits for its turn: there are as many as
# there were connections at the same time, and not a fork for each.
sub serve_tcp {
  my ($self) = @_;
  my $server = $$;
  pipe my $turn, my $pass or die "pipe: $!";
  pipe my $queue, my $join or die "pipe: $!";
  for (1 .. 8) {
    my $pid = fork // die "fork: $!";
    $self->take_turns($server, $turn, $pass, $queue, $join) if $pid == 0;
  }
  syswrite $pass, '.';
}

sub take_turns {
  my ($self, $server, $turn, $pass, $queue, $join) = @_;
  $SIG{TERM} = 'DEFAULT';
  my $select = IO::Select->new(map { $_->[0] } values %{ $self->{tcp} });
  while (1) {
    syswrite $join, '.';
    sysread $turn, my $mine, 1;
    my @ready;
    until (@ready = $select->can_read(1)) {
      syswrite $pass, '.' and POSIX::_exit(0) unless kill 0, $server;
    }
    my ($socket, @how) = @{ $self->{tcp}{ fileno $ready[rand @ready] } };
    my $client = $socket->accept;
    sysread $queue, $mine, 1;
    if (!IO::Select->new($queue)->can_read(0) and (fork // 1) == 0) {
      close $client if $client;
      next;
    }
    syswrite $pass, '.';
    next unless $client;
    alarm HANG;
    $self->serve_client($client, @how);
    alarm 0;
  }
}

sub serve_client {
  my ($self, $client, $serve, $certificate, @more) = @_;
  $client->autoflush(1);
  if ($certificate) {
    $client = IO::Socket::SSL->start_SSL($client, SSL_server => 1,
      SSL_cert_file => "$self->{dir}/$certificate.pem", SSL_key_file => "$self->{dir}/$certificate.key") or return;
  }
  $serve->($client, @more);
  close $client;
}

sub serve_http {
  my ($self, $client, $cloud) = @_;
  my $head = '';
  while ($head !~ /\r\n\r\n/) {
    sysread($client, $head, 4096, length $head) or return;
    return print $client reply('', status => '400 Bad Request') if $head =~ /^\x16/;    # TLS
  }
  my ($method, $path) = $head =~ m{^(\S+) (\S+) HTTP/1\.1\r\n} or return;
  $self->asked($path, $head);
  my $answer = $cloud ? $cloud->{"$method $path"}
    : $HTTP{ !$self->behaves ? $path =~ s/\?.*//r : $path =~ /json/ ? '/json' : '/good' };
  $answer = $answer->($head) if $cloud and ref $answer;
  $answer //= reply('', status => '404 Not Found');
  return ref $answer ? $answer->($client, $self) : print $client $answer;
}

sub serve_stream {
  my ($self, $client, $fault) = @_;
  my $request = '';
  while (length $request < 20) {
    sysread($client, $request, 20, length $request) or return;
  }
  $self->asked("stream-$fault");
  $STREAM{ $self->behaves ? 'good' : $fault }->($client, substr($request, 8, 12), $self);
}

sub answer_stun {
  my ($self, $socket, $client, $request, $fault) = @_;
  return unless length $request == 20;
  $self->asked($fault);
  # By the thousand: others are not to wait for that.
  return if $fault =~ /^junk/ and (fork // 0);
  my @replies = $STUN{ $self->behaves ? 'good' : $fault }->(substr($request, 8, 12), $socket, $client, $self);
  my $last = pop @replies;
  $socket->send($_, 0, $client) for @replies;
  # What comes last must find room in the client's socket buffer.
  sleep 0.5 if @replies > 1000;
  $socket->send($last, 0, $client) if defined $last;
  POSIX::_exit(0) if $fault =~ /^junk/;
}

sub answer_dns {
  my ($socket, $client, $request) = @_;
  my $name = join '.', unpack '(C/a)*', (substr($request, 12) =~ /^(.*?)\0/s)[0];
  my $question = substr $request, 12, length($name) + 2 + 4;
  my $addresses = exists $DNS{lc $name} ? $DNS{lc $name} : [];
  return unless $addresses;
  my $records = join '', map { pack('n n n N n', 0xc00c, 1, 1, 1, 4) . inet_aton($_) } @$addresses;
  $socket->send(substr($request, 0, 2) . pack('n n n n n', exists $DNS{lc $name} ? 0x8180 : 0x8183,
      1, scalar @$addresses, 0, 0) . $question . $records, 0, $client);
}

# A certificate authority, and what it would and would not sign: all of one key,
# for keys take long to make.
sub make_certificates {
  my ($self) = @_;
  my $now = time;
  my ($ca, $ca_key) = CERT_create(CA => 1, subject => { commonName => 'Test CA' }, not_after => $now + 86_400);
  PEM_cert2file($ca, "$self->{dir}/ca.pem");
  my $key = KEY_create_rsa(2048);
  my @valid = (not_before => $now - 3600, not_after => $now + 86_400);
  my @named = (subject => { commonName => 'extip' },
    subjectAltNames => [[IP => $self->{host}], [DNS => 'localhost']]);
  my %make = (
    'good'       => [@named, @valid, issuer => [$ca, $ca_key]],
    'named'      => [@valid, subject => { commonName => 'extip' },
      subjectAltNames => [[DNS => '*.names.example']], issuer => [$ca, $ca_key]],
    'expired'    => [@named, not_before => $now - 7200, not_after => $now - 3600, issuer => [$ca, $ca_key]],
    'selfsigned' => [@named, @valid],
    'wrong-name' => [@valid, subject => { commonName => 'other.example' },
      subjectAltNames => [[DNS => 'other.example']], issuer => [$ca, $ca_key]],
  );
  for my $name (@CERTIFICATES) {
    my ($cert) = CERT_create(@{ $make{$name} }, key => $key);
    PEM_cert2file($cert, "$self->{dir}/$name.pem");
    PEM_key2file($key, "$self->{dir}/$name.key");
  }
  chmod 0644, glob "$self->{dir}/*.pem";
}

1;
