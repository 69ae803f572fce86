# Every way in which a source can be wrong: the fault is named, the lie is not
# taken, and no source keeps another one from answering.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadServer;
use JSON::PP qw(encode_json);
use List::Util qw(min);
use Server;
use Test::More;

plan skip_all => 'a network namespace of its own needs root' unless Net::private();

my $tool = "$Server::BUILD/tools/extip-round";
# A round has 140 sources and a slow server: a fault that is found late would be a
# time-out.
my $slow = int(1 + Limits::slowness());
my $timeout = 2000 * $slow;

my $bad = BadServer->start(dns => 1);
Net::resolver($bad->{host});

# Runs one round over sources (array references of words); each one's [status,
# address, ms, reason].
sub round {
  my ($sources, @options) = @_;
  my @words = map { (@$_, ',') } @$sources;
  pop @words;
  open my $out, '-|', $tool, '-t', $timeout, '-c', $bad->ca, @options, @words or die "$tool: $!";
  my @lines = <$out>;
  close $out or die "extip-round: $?";
  return map { [/^\S+ \[(.*?)\] (\S+) peer \S+ (\d+) ms: (.*)$/] } @lines;
}

my @json = (extract => 'json:/ip');

# name, source, status, reason (a pattern); "ok" is an answer of the truth.
my @cases = (
  ['the plain truth over HTTP',   [$bad->http('/good')],  'ok'],
  ['the plain truth over HTTPS',  [$bad->https('good', '/good')], 'ok'],
  ['the plain truth in JSON',     [$bad->http('/json'), @json], 'ok'],
  ['the plain truth over STUN',   [$bad->stun('good')],   'ok'],
  ['the plain truth over TCP',    [$bad->stream('good')], 'ok'],
  ['the truth over TCP, byte by byte', [$bad->stream('drip')], 'ok'],
  ['an alternate server over UDP', [$bad->stun('alternate')], 'ok'],
  ['an alternate server over TCP', [$bad->stream('alternate')], 'ok'],
  ['the plain truth over TLS',    [$bad->stuns('good')],  'ok'],
  ['the plain truth in DNS',      ['dns:good.example'],   'ok'],
  ['EC2',                         [$bad->cloud('ec2')],   'ok'],
  ['Google Compute Engine',       [$bad->cloud('gce')],   'ok'],
  ['Azure',                       [$bad->cloud('azure')], 'ok'],
  ['Azure with an address of the Standard SKU', [$bad->cloud('azure', 'none')], 'ok'],
  ['a redirect',                  [$bad->http('/to-good')], 'ok'],
  ['three redirects',             [$bad->http('/to-good-3')], 'ok'],
  ['a gzipped body that nobody asked for', [$bad->http('/gzip')], 'ok'],
  ['a deflated body',             [$bad->http('/deflate')], 'ok'],
  ['gzipped JSON over HTTPS',     [$bad->https('good', '/gzip-json'), @json], 'ok'],
  ['a byte order mark',           [$bad->http('/bom')],   'ok'],
  ['an IPv4-mapped IPv6 address', [$bad->http('/mapped')], 'ok'],

  ['nobody listens (TCP)',  ['http://127.0.0.2:1/'], 'refused', qr/refused/],
  ['nobody listens (UDP)',  ['stun:127.0.0.2:1'],    'refused', qr/refused/],
  ['nobody listens (STUN over TCP)', ['stun:127.0.0.2:1?transport=tcp'], 'refused', qr/refused/],
  ['no route (TCP)',        ['http://192.0.2.1/'],   'unreachable', qr/unreachable/],
  ['no route (UDP)',        ['stun:192.0.2.1'],      'unreachable', qr/unreachable/],
  ['no such name',          ['http://nx.example/'],  'dns', qr/'nx.example': Name or service/],
  ['a name without an IPv4 address', ['stun:none.example'], 'dns', qr/'none.example': No address/],
  ['a name that DNS does not answer', ['https://dead.example/'], 'dns', qr/'dead.example'(?: not resolved in $timeout ms|: Temporary failure)/],
  ['the same for STUN',     ['stun:dead.example'],   'dns', qr/not resolved|Temporary failure/],
  ['the same for dns:',     ['dns:dead.example'],    'dns', qr/not resolved|Temporary failure/],
  ['a name with two addresses', ['dns:two.example'], 'malformed', qr/2 IPv4 addresses/],
  ['a name with a private address', ['dns:private.example'], 'not global', qr/10\.0\.0\.1 is RFC 1918/],
  ['no such interface',     ['if:nosuch0'],          'local', qr/does not exist/],
  ['an interface with a loopback address', ['if:lo'], 'not global', qr/loopback/],

  ['hang before the reply', [$bad->http('/hang-before')],  'timeout', qr/connected, but no reply/],
  ['hang in the headers',   [$bad->http('/hang-headers')], 'timeout', qr/reply is not complete/],
  ['hang in the body',      [$bad->http('/hang-body')],    'timeout', qr/reply is not complete/],
  ['hang after the body',   [$bad->http('/hang-after')],   'timeout', qr/reply is not complete/],
  ['a byte every 0.1 s',    [$bad->http('/drip')],         'timeout', qr/reply is not complete/],
  ['hang in the TLS handshake', ['https://' . $bad->at('stream-silent') . '/'], 'timeout', qr/TLS handshake/],
  ['truncated body',        [$bad->http('/truncated')],    'unreachable', qr/13 bytes (?:remaining|missing)/],
  ['nothing at all',        [$bad->http('/nothing')],      'unreachable', qr/Empty reply/],
  ['connection reset',      [$bad->http('/reset')],        'unreachable', qr/reset|Empty/],
  ['address and 5,000 blanks', [$bad->http('/big-body')],  'too big', qr/4096 bytes of body/],
  ['endless body',          [$bad->http('/endless-body')], 'too big', qr/4096 bytes of body/],
  ['a small body that unpacks to 10 MB', [$bad->http('/gzip-bomb')], 'too big', qr/4096 bytes of body/],
  ['60 KB of packing around an address', [$bad->http('/gzip-padded')], 'too big', qr/4096 bytes of body/],
  ['a gzipped body that breaks off', [$bad->http('/gzip-cut')], 'malformed', qr/./],
  ['a gzipped body that is damaged', [$bad->http('/gzip-broken')], 'malformed', qr/./],
  ['a body that is not what its encoding says', [$bad->http('/gzip-not')], 'malformed', qr/./],
  ['an encoding that nobody knows', [$bad->http('/odd-encoding')], 'malformed', qr/./],
  ['5 KiB of headers',      [$bad->http('/big-headers')],  'too big', qr/4096 bytes of headers/],
  ['endless 100 Continue',  [$bad->http('/endless-100')],  'too big', qr/4096 bytes of headers/],
  ['chunked garbage',       [$bad->http('/bad-chunks')],   'unreachable', qr/chunk/i],
  ['a chunk of 2^68 bytes', [$bad->http('/huge-chunk')],   'unreachable', qr/chunk/i],
  ['not HTTP',              [$bad->http('/not-http')],     'malformed', qr/HTTP\/0.9/],
  ['HTTP/0.9',              [$bad->http('/http-0.9')],     'malformed', qr/HTTP\/0.9/],
  ['two Content-Lengths',   [$bad->http('/two-lengths')],  'malformed', qr/"8\.8"|8\.8/],

  ['a picture',             [$bad->http('/image')],         'malformed', qr/not exactly one IPv4 address: "\?PNG/],
  ['an HTML page',          [$bad->http('/html')],          'malformed', qr/"<html>/],
  ['two addresses',         [$bad->http('/two-addresses')], 'malformed', qr/"8\.8\.4\.4\?9\.9\.9\.10"/],
  ['IPv6 instead of IPv4',  [$bad->http('/ipv6')],          'malformed', qr/IPv6 address instead/],
  ['leading zeros',         [$bad->http('/leading-zeros')], 'malformed', qr/not exactly one/],
  ['octal',                 [$bad->http('/octal')],         'malformed', qr/not exactly one/],
  ['trailing text',         [$bad->http('/trailing-text')], 'malformed', qr/is your address/],
  ['empty body',            [$bad->http('/empty')],         'malformed', qr/empty/],
  ['address and NUL',       [$bad->http('/nul')],           'malformed', qr/"8\.8\.4\.4\?"/],
  ['private address',       [$bad->http('/private')],       'not global', qr/192\.168\.1\.10 is RFC 1918/],
  ['carrier-grade NAT',     [$bad->http('/cgnat')],         'not global', qr/100\.64\.0\.1 is RFC 6598/],
  ['loopback',              [$bad->http('/loopback')],      'not global', qr/loopback/],
  ['TEST-NET',              [$bad->http('/test-net')],      'not global', qr/TEST-NET-2/],
  ['multicast',             [$bad->http('/multicast')],     'not global', qr/multicast/],
  ['0.0.0.0',               [$bad->http('/zero')],          'not global', qr/this network/],
  ["the source's own address", [$bad->http('/own-address')], 'own address', qr/127\.0\.0\.2 is the source's own/],
  ['JSON without the member', [$bad->http('/json-missing'), @json], 'malformed', qr/nothing there/],
  ['JSON with it twice',    [$bad->http('/json-twice'), @json],  'malformed', qr/twice/],
  ['JSON that breaks off',  [$bad->http('/json-broken'), @json], 'malformed', qr/not a JSON text/],
  ['JSON with a number',    [$bad->http('/json-number'), @json], 'malformed', qr/not a JSON string/],
  ['a line that is not there', [$bad->http('/good'), extract => 'line:ip='],     'malformed', qr/no line/],
  ['a header that is not there', [$bad->http('/good'), extract => 'header:X-IP'], 'malformed', qr/no header/],

  ['redirect loop',         [$bad->http('/loop')],         'redirect', qr/more than 3 redirects/],
  ['redirect to file:',     [$bad->http('/to-file')],      'redirect', qr/file:.*another scheme/],
  ['redirect to gopher:',   [$bad->http('/to-gopher')],    'redirect', qr/gopher:.*another scheme/],
  ['redirect to https:',    [$bad->http('/to-https')],     'redirect', qr/https:.*another scheme/],
  ['redirect to 127.0.0.1', [$bad->http('/to-loopback')],  'redirect', qr/127\.0\.0\.1, which is .*loopback/],
  ['redirect to 2130706433', [$bad->http('/to-decimal')],  'redirect', qr/127\.0\.0\.1, which is .*loopback/],
  ['redirect to localhost', [$bad->http('/to-localhost')], 'redirect', qr/127\.0\.0\.1, which is .*loopback/],
  ['redirect to 10.0.0.1',  [$bad->http('/to-private')],   'redirect', qr/10\.0\.0\.1, which is RFC 1918/],
  ['redirect to a name of 10.0.0.1', [$bad->http('/to-name')], 'redirect', qr/10\.0\.0\.1, which is RFC 1918/],
  ['redirect to 169.254.169.254', [$bad->http('/to-metadata')], 'redirect', qr/169\.254\.169\.254, which is .*link-local/],
  ['redirect to -good.example', [$bad->http('/to-dash')],  'redirect', qr{'http://-good.example/lie': the host must be an IPv4 address or a name}],
  ['redirect with credentials', [$bad->http('/to-user')],  'redirect', qr{'http://\*\*\*\@127.0.0.2/lie': it contains credentials}],
  ['redirect to nowhere',   [$bad->http('/to-nowhere')],   'http', qr/302/],
  (map { ["HTTP status $_", [$bad->http("/$_")], 'http', qr/HTTP status $_/] } 204, 206, 403, 404, 500, 503),

  ['expired certificate',     [$bad->https('expired', '/lie')],    'tls', qr/expired/],
  ['self-signed certificate', [$bad->https('selfsigned', '/lie')], 'tls', qr/self.signed/],
  ["another name's certificate", [$bad->https('wrong-name', '/lie')], 'tls', qr/name|match/],
  ['no TLS there',            ['https://' . $bad->at('http') . '/lie'], 'tls', qr/./],
  ['expired certificate (STUN)', [$bad->stuns('expired')],   'tls', qr/expired/],
  ["another name's (STUN)",   [$bad->stuns('wrong-name')],   'tls', qr/name|match/],

  ['no metadata service',     ["ec2:127.0.0.2:1"],           'refused', qr/refused/],
  ['EC2 without an address',  [$bad->cloud('ec2', 'none')],  'http', qr/404: the instance has no public/],
  ['EC2 with a strange token', [$bad->cloud('ec2', 'bad')],  'malformed', qr/token/],
  ['Compute Engine without an address', [$bad->cloud('gce', 'none')], 'http', qr/404: the first interface has no/],
  ['somebody else in the place of Compute Engine', [$bad->cloud('gce', 'bad')], 'malformed', qr/no header "Metadata-Flavor: Google"/],
  ['Azure with two addresses', [$bad->cloud('azure', 'bad')], 'malformed', qr/more than one/],
  ['Azure without an address', ['azure:' . $bad->at('http')], 'http', qr/404: the first interface has no/],
  ['EC2 without tokens',      ['ec2:' . $bad->at('stream-http')], 'http', qr/status 400 for the token/],

  (map { ["STUN: $_->[0]", [$bad->stun($_->[1])], 'timeout', qr/discarded [1-9]\d*, the last: $_->[2]/] }
    ['another transaction id', 'wrong-id',     'wrong transaction id'],
    ['wrong magic cookie',     'wrong-cookie', 'wrong magic cookie'],
    ['a request',              'request',      'not a response'],
    ['an indication',          'indication',   'not a response'],
    ['another method',         'wrong-method', 'wrong method'],
    ['length too short',       'short-length', 'wrong message length'],
    ['length too long',        'long-length',  'wrong message length'],
    ['no padding',             'unpadded',     'wrong message length'],
    ['attribute past the end', 'past-the-end', 'an attribute runs past the end'],
    ['wrong FINGERPRINT',      'fingerprint',  'wrong FINGERPRINT'],
    ['3,000 bytes',            'oversized',    'wrong message length'],
    ['empty datagram',         'empty',        'shorter than a STUN header'],
    ['10,000 junk datagrams',  'junk-only',    'wrong transaction id|wrong message length'],
  ),
  ['STUN: no address',         [$bad->stun('no-address')], 'malformed', qr/no mapped address/],
  ['STUN: IPv6 address',       [$bad->stun('ipv6')],       'malformed', qr/IPv6 address instead/],
  ['STUN: unknown family',     [$bad->stun('family')],     'malformed', qr/address family 7/],
  ['STUN: unknown required attribute', [$bad->stun('required')], 'malformed', qr/required attribute 0x7abc/],
  ['STUN: error reply',        [$bad->stun('error')],      'stun', qr/^error 500 Server\?\[2J Error$/],
  ['STUN: malformed error reply', [$bad->stun('bad-error')], 'malformed', qr/valid error code/],
  ['STUN: alternate server twice', [$bad->stun('alternate-loop')], 'stun', qr/another server twice/],
  ['STUN: alternate server 127.0.0.1', [$bad->stun('alternate-loopback')], 'redirect', qr/127\.0\.0\.1, which is .*loopback/],
  ['STUN: an alternate server that names itself', [$bad->stun('alternate-own')], 'own address', qr/own address/],
  ['STUN: alternate port 0',   [$bad->stun('alternate-port-0')], 'stun', qr/port 0/],
  ['STUN: private address',    [$bad->stun('private')],    'not global', qr/RFC 1918/],
  ['STUN: carrier-grade NAT',  [$bad->stun('cgnat')],      'not global', qr/RFC 6598/],
  ["STUN: the source's own address", [$bad->stun('own-address')], 'own address', qr/own address/],
  ['STUN: no reply',           [$bad->stun('silent')],     'timeout', qr/nothing came back/],
  ['STUN: reply from another address', [$bad->stun('elsewhere')], 'timeout', qr/nothing came back/],
  ['STUN: late duplicates with a lie', [$bad->stun('duplicate')], 'ok'],
  ['STUN: the truth behind 10,000 junk datagrams', [$bad->stun('junk')], 'ok'],

  ['STUN over TCP: no reply',  [$bad->stream('silent')],   'timeout', qr/connected, but no reply/],
  ['STUN over TCP: half a reply', [$bad->stream('half')],  'timeout', qr/reply is not complete/],
  ['STUN over TCP: cut short', [$bad->stream('cut')],      'unreachable', qr/closed before/],
  ['STUN over TCP: closed',    [$bad->stream('closed')],   'unreachable', qr/closed before/],
  ['STUN over TCP: HTTP',      [$bad->stream('http')],     'malformed', qr/not a STUN message/],
  ['STUN over TCP: another transaction id', [$bad->stream('wrong-id')], 'malformed', qr/wrong transaction id/],
  ['STUN over TCP: 64 KiB',    [$bad->stream('huge')],     'malformed', qr/not a STUN message/],
  ['STUN over TCP: alternate server twice', [$bad->stream('alternate-loop')], 'stun', qr/another server twice/],
  ['STUN over TCP: error reply', [$bad->stream('error')],  'stun', qr/error 401 Unauthorized/],
);

# One round, and nothing of ProFTPD.

my @answers = round([map { $_->[1] } @cases]);
is(scalar @answers, scalar @cases, 'every source has an answer');
my $slowest = 0;
for my $i (0 .. $#cases) {
  my ($name, undef, $status, $reason) = @{ $cases[$i] };
  my $got = $answers[$i];
  my $right = $got->[0] eq $status;
  $right &&= $status eq 'ok' ? $got->[1] eq BadServer::GOOD : $got->[3] =~ $reason;
  $right &&= $got->[1] ne BadServer::LIE && $got->[3] !~ /[^ -~]/;
  ok($right, "$name: $status") or diag("got @$got");
  $slowest = $got->[2] if $got->[2] > $slowest;
}
cmp_ok($slowest, '<', 10 * $timeout, 'the round takes one time-out, not their sum');

# The same faults through a real daemon: a virtual host each, whose only source
# first tells the truth and then has the fault.

if (my $reason = Server::unavailable()) {
  diag $reason;
  done_testing;
  exit;
}

sub switchable {
  my (undef, $source, $status) = @{ $_[0] };
  my ($uri, @words) = @$source;
  return 0 if $status eq 'ok' or @words && $words[1] !~ /^json/;
  return $uri =~ m{^http://\Q@{[$bad->at('http')]}\E/}
    || grep { $uri eq $_ } (map { $bad->stun($_) } keys %BadServer::STUN), map { $bad->stream($_) } keys %BadServer::STREAM;
}

sub sources { return join '', map { 'ExtIPSource ' . join(' ', map { qq("$_") } @$_) . "\n" } @_ }

sub status {
  my ($server) = @_;
  my $all = eval { $server->ctl_json('extip', 'status')->{answers} } // [];
  return map { ($_->{server} =~ m{:(\d+)\)$} ? $1 : 0) => $_ } @$all;
}

# The status of each virtual host when it has had as many rounds as %$wanted says.
sub after_rounds {
  my ($server, $wanted) = @_;
  my %status;
  Net::wait_for(sub {
    %status = status($server);
    !grep { ($status{$_}{rounds} // 0) < $wanted->{$_} } keys %$wanted;
  }, 60) or diag 'the rounds did not go on';
  return %status;
}

# What is left of this round and two more: so often must a lie be told to be
# an address.
sub three_more { my %status = status($_[0]); return { map { $_ => $status{$_}{rounds} + 3 } keys %status } }

my @switchable = grep { switchable($_) } @cases;
my @others = grep { !switchable($_) && $_->[2] ne 'ok' } @cases;
my $seconds = 2 * min($slow, 4);
my $common = "ExtIPEngine on\nExtIPTimeout ${seconds}s\nExtIPRefresh 1s 1s\nExtIPCACertificate " . $bad->ca . "\n";

# A daemon with a virtual host for each of these lists of sources.
my $next_port = 3000;
sub daemon {
  my (@lists) = @_;
  my $first = $next_port + 1;
  my $hosts = join '', map { $next_port++; "<VirtualHost 127.0.0.1>\nPort $next_port\n$common@{[sources(@$_)]}</VirtualHost>\n" } @lists;
  my $server = Server->start(modules => ['mod_extip'],
    config => sub { "ExtIPTable $_[0]{dir}/state/extip.tab\n$hosts" });
  return ($server, $first);
}

sub everything_logged { my ($server) = @_; return $server->log . $server->stderr }

# All daemons at the same time: most of it is waiting. A table has room for 64
# answers. Faults that cannot be turned on later have three good sources at
# their side instead.
$bad->behave;
my (@alone, @together);
while (my @part = splice @switchable, 0, 60) {
  push @alone, [\@part, daemon(map { [$_->[1]] } @part)];
}
my @good = ([$bad->http('/good')], [$bad->stun('good')], ['dns:good.example']);
my @groups;
while (my @part = splice @others, 0, 12) {
  push @groups, [@part, ['a source with secrets', [$bad->http('/403?key=s3cret') =~ s{//}{//me:s3cret@}r, header => 'X-Key: s3cret'], 'http']];
}
my ($others, $others_port) = daemon(map { [(map { $_->[1] } @$_), @good] } @groups);

for (@alone) {
  my ($part, $server) = @$_;
  ok(Net::wait_for(sub {
    my %status = status($server);
    @$part == grep { ($_->{address} // '') eq BadServer::GOOD } values %status;
  }, 30), @$part . ' virtual hosts know the truth') or diag explain { status($server) };
}
$bad->misbehave;
push @$_, three_more($_->[1]) for @alone;

sub named {
  my ($case, $got, $port, $log) = @_;
  my (undef, undef, $wanted, $reason) = @$case;
  my $source = $got->{sources}[0];
  return ($got->{address} // '') eq BadServer::GOOD && !$got->{previous} && $source->{status} eq $wanted
    && ($wanted eq 'timeout' || $source->{reason} =~ $reason)
    && $log =~ /:$port\).*: source \S+: $wanted: /
    && $log =~ /:$port\).*: no decision, .*: keeping \Q@{[BadServer::GOOD]}\E; see 'ftpdctl extip status'$/m;
}

for (@alone) {
  my ($part, $server, $port, $wanted) = @$_;
  after_rounds($server, $wanted);
  # On a loaded machine a round may first see a time-out in a fault's place.
  my (%status, $log, @unnamed);
  Net::wait_for(sub {
    %status  = status($server);
    $log     = everything_logged($server);
    @unnamed = grep { !named($part->[$_], $status{ $port + $_ }, $port + $_, $log) } 0 .. $#$part;
    return !@unnamed;
  }, 20);
  my %unnamed = map { $_ => 1 } @unnamed;
  for my $i (0 .. $#$part) {
    ok(!$unnamed{$i}, "$part->[$i][0]: the known address stays, status and log name the fault")
      or diag explain($status{ $port + $i }), $log =~ /.*:@{[$port + $i]}\).*/g;
  }
  $server->stop;
}

my %status = after_rounds($others, { map { $others_port + $_ => 2 } 0 .. $#groups });
for my $part (@groups) {
  my $got = $status{ $others_port++ };
  is($got->{address}, BadServer::GOOD, 'three good sources decide, whatever ' . @$part . ' others do');
  for my $i (0 .. $#$part) {
    my ($name, undef, $wanted) = @{ $part->[$i] };
    is($got->{sources}[$i]{status}, $wanted, "$name: status names the fault");
  }
}
$others->stop;
like(everything_logged($others), qr{http://\*\*\*\@\Q@{[$bad->at('http')]}\E/403\?\*\*\*: http: HTTP status 403}, 'a source is logged without its secrets');
unlike(everything_logged($others) . encode_json(\%status), qr/s3cret/, 'which are nowhere else either');
unlike(everything_logged($others), qr/address is now (?!\Q@{[BadServer::GOOD]}\E)/, 'no lie was ever adopted');

done_testing;
