# One round over all sources: what is sent where, when it ends, and that it
# leaves nothing behind.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadServer;
use IO::Socket::INET;
use List::Util qw(max min);
use Server;
use Test::More;

plan skip_all => 'a network namespace of its own needs root' unless Net::private();

my $tool = "$Server::BUILD/tools/extip-round";
my $bad = BadServer->start(dns => 1);
my $good = BadServer::GOOD;

Net::resolver($bad->{host});

# Standard output of the tool. A source that answers has ten seconds; where none
# does, the time-out is given.
sub run {
  my (@words) = @_;
  open my $out, '-|', $tool, '-t', 10_000, '-c', $bad->ca, @words or die "$tool: $!";
  my $said = do { local $/; <$out> // '' };
  close $out;
  return $said;
}

subtest 'what a request holds' => sub {
  my $said = run($bad->http('/to-other-port') =~ s{//}{//us%65r:p%3Aw@}r, 'header', 'X-Secret: 42', 'header', 'User-Agent: mine');
  like($said, qr/\[ok\] \Q$good\E/, 'a redirect to another port is followed');
  my ($home) = $bad->heads('/to-other-port');
  my ($away) = $bad->heads('/good?2');
  like($home, qr/^Authorization: Basic dXNlcjpwOnc=\r$/m, 'the credentials of the URI are sent');
  like($home, qr/^X-Secret: 42\r$/m, 'the headers of the source are sent');
  like($home, qr/^User-Agent: mine\r$/m, 'and take the place of our own');
  unlike($home, qr/^User-Agent: mod_extip/m, 'which is not sent then');
  unlike($away, qr/secret|authorization|mine/i, 'none of them goes to where the redirect leads');

  # To the same host, to others whose names begin like its own, all at one port.
  for (['to-home', '/good?5', 1, 'the same name in other letters, with a dot'], ['to-longer', '/good?3', 0, 'a longer name'],
    ['to-shorter', '/good?4', 0, 'a shorter name']) {
    my ($path, $end, $kept, $what) = @$_;
    $said = run('http://user:pw@home.example:' . $bad->port('http') . "/$path", 'header', 'X-Secret: 42');
    like($said, qr/\[ok\] \Q$good\E/, "a redirect to $what is followed");
    my ($head) = $bad->heads($end);
    is(scalar(() = ($head // 'none') =~ /secret: 42|authorization/gi), $kept ? 2 : 0, $kept ? '... with the credentials' : '... without the credentials') or diag $head;
  }

  run($bad->http('/good'));
  is(join('', $bad->heads('/good')), "GET /good HTTP/1.1\r\nHost: @{[$bad->at('http')]}\r\n"
    . "User-Agent: mod_extip\r\nAccept: */*\r\n\r\n\0", 'a plain request says nothing about us');
  run($bad->http('/a/../good?x=/../y'));
  is($bad->requests('/a/../good?x=/../y'), 1, 'the path is sent as it was written');
};

subtest 'the local address' => sub {
  my @sources = ($bad->http('/client'), ',', $bad->stun('client'), ',', $bad->stream('client'));
  my $said = run('-b', '127.0.0.5', @sources);
  is(scalar(() = $said =~ /127\.0\.0\.5 is RFC 1122/g), 3, 'HTTP, UDP and TCP leave from it') or diag $said;
  $said = run('-b', '192.0.2.5', @sources);
  is(scalar(() = $said =~ /\[local\]/g), 3, 'an address that is not ours is a fault here') or diag $said;
};

subtest 'certificates' => sub {
  my $url = $bad->https('good', '/good');
  like(scalar run($url), qr/\[ok\]/, 'the given authority counts');
  like(scalar run('-c', '/nonexistent.pem', $url), qr/\[local\].*nonexistent/, 'a file that is not there is a fault here');

  # Makes BadServer's authority one of the system's, here.
  my $system = "$bad->{dir}/system";
  mkdir $system or die $!;
  system('cp', $bad->ca, "$system/ca-certificates.crt") == 0
    && system('cp', $bad->ca, "$system/ca.pem") == 0
    && system("openssl rehash $system >/dev/null 2>&1") == 0
    && system('mount', '--bind', $system, '/etc/ssl/certs') == 0 or die 'no directory of authorities';
  like(scalar run('-c', '', $url), qr/\[ok\]/, 'without one, the authorities of the system count');
  like(scalar run('-c', "$bad->{dir}/selfsigned.pem", $url), qr/\[tls\]/, 'but not beside a given one');
};

subtest 'the environment' => sub {
  my $trap = IO::Socket::INET->new(LocalHost => '127.0.0.2', Listen => 5) or die $!;
  my $proxy = 'http://127.0.0.2:' . $trap->sockport;
  local @ENV{qw(http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY)} = ($proxy) x 5;
  my $said = run($bad->http('/good'), ',', $bad->https('good', '/good'), ',', $bad->stuns('good'));
  is(scalar(() = $said =~ /\[ok\]/g), 3, 'names no proxy for us') or diag $said;
  $trap->blocking(0);
  ok(!$trap->accept, 'which is never connected to');
};

subtest 'STUN over UDP' => sub {
  my ($ms) = run('-t', 3450, $bad->stun('third'), ',', $bad->stun('silent')) =~ /\[ok\].* (\d+) ms/;
  cmp_ok($ms // 0, '>=', 1495, 'the third request is sent after 1.5 s, as RFC 8489 has it');
  is($bad->requests('silent'), 3, 'until the fourth would be there are three');
};

subtest 'the end of a round' => sub {
  my @hanging = map { ($bad->http("/hang-before?$_"), ',') } 1 .. 10;
  my $said = run('-t', 2000, @hanging[0 .. $#hanging - 1]);
  my @took = $said =~ /\[timeout\].* (\d+) ms/g;
  is(scalar @took, 10, 'ten hanging sources time out') or diag $said;
  ok(min(@took) >= 2000 && max(@took) < 10_000, 'in the time of one, not of five') or diag "@took";

  $said = run('-t', 120_000, '-f', @hanging, $bad->http('/good'));
  like($said, qr/\[ok\]/, 'the caller can end it with an answer that is enough');
  is(scalar(() = $said =~ /\[cancelled\].*the round ended early/g), 10, 'which cancels the others, and waits for none of them');

  pipe my $in, my $wake or die $!;
  my $pid = fork // die $!;
  if (!$pid) {
    open STDIN, '<&', $in;
    open STDOUT, '>', "$bad->{dir}/woken";
    exec $tool, '-t', 120_000, '-w', $bad->http('/hang-before?w'), ',', $bad->http('/good?w');
  }
  Net::wait_for(sub { $bad->requests('/hang-before?w') && $bad->requests('/good?w') });
  close $in;
  close $wake;
  waitpid $pid, 0;
  like(Server::slurp("$bad->{dir}/woken"), qr/\[cancelled\].*\n.*\[/, 'a hung-up wake descriptor ends it, with the answers so far');
};

subtest 'a resolver that does not answer' => sub {
  my $said = run('-t', 2000, 'stun:dead.example', ',', 'https://dead.example/', ',', $bad->stun('good'));
  my @took = $said =~ /\[dns\].* (\d+) ms: 'dead.example' not resolved in 2000 ms/g;
  is(scalar @took, 2, 'costs its sources their answer') or diag $said;
  cmp_ok(max(@took, 0), '<', 10_000, 'and no time beyond the time-out');
  like($said, qr/\[ok\]/, 'and no other one its answer');

  my $pid = fork // die $!;
  if (!$pid) {
    open STDOUT, '>', '/dev/null';
    exec $tool, '-t', 30_000, 'stun:dead.example', ',', 'stun:dead-2.example';
  }
  my @resolvers;
  Net::wait_for(sub { @resolvers = Server::children_of($pid); @resolvers == 2 && Server::slurp("/proc/$pid/comm") =~ /extip-round/ });
  is(scalar @resolvers, 2, 'is waited for by one process a name');
  kill 'KILL', $pid;
  waitpid $pid, 0;
  ok(Net::wait_for(sub { !grep { kill 0, $_ } @resolvers }, 5), 'which does not outlive us, however we die');
};

# Sockets, processes, threads and memory after many rounds of every kind.
subtest 'nothing is left over' => sub {
  my $rounds = $ENV{LONG} ? 10_000 : 40;
  my @sources = map { ($_, ',') } $bad->stun('good'), $bad->stun('error'), $bad->stream('good'),
    $bad->stuns('good'), $bad->http('/good'), $bad->http('/to-good'), $bad->https('good', '/good'),
    $bad->http('/html'), 'http://127.0.0.2:1/', 'dns:good.example', 'dns:nx.example', 'if:lo', $bad->cloud('ec2');
  my %runs = (
    'sources of every kind' => ['-t', 5000, '-n', $rounds, @sources[0 .. $#sources - 1]],
    'a dead resolver and a hanging source' =>
      ['-t', 20, '-n', $rounds, 'stun:dead.example', ',', 'https://dead-2.example', ',', $bad->http('/hang-before')],
  );
  for my $name (sort keys %runs) {
    my $said = run(@{ $runs{$name} });
    my ($n, $ms, $early, $late, $before, $after, $threads) =
      $said =~ /^rounds (\d+) ms (\d+) rss (\d+) (\d+) fds (\d+) (\d+) threads (\d+)$/m;
    note sprintf '%s: %d rounds, %.1f ms each, %d kB after a tenth of them, %d kB at the end', $name, $n, $ms / $n, $early, $late;
    is($n, $rounds, "$name: all rounds ran") or diag $said;
    is($after, $before, "$name: no descriptor is left");
    is($threads, 1, "$name: no thread is left");
    # The sanitizers' allocator keeps what is freed.
    cmp_ok($late, '<=', $early * 1.05 + 256, "$name: no memory is left") unless $ENV{SANITIZE};
  }
};

# Loopback counts packets from the IP header on.
subtest 'what asking costs on the wire' => sub {
  my $page = Server::slurp("$FindBin::Bin/../mod_extip/sources.html");
  my $bytes = sub { (Server::slurp('/proc/net/dev') =~ /^\s*lo:\s*(\d+)/m)[0] };
  my %source = ('stun:' => $bad->stun('good'), 'stuns:' => $bad->stuns('good'), 'http:' => $bad->http('/good'),
    'https:' => $bad->https('good', '/good'), 'dns:name' => 'dns:good.example');
  my ($major, $minor) = `openssl version` =~ /(\d+)\.(\d+)/;
  my $post_quantum = $major * 100 + $minor >= 305 ? 1950 : 0;    # as the page says below its table
  for my $kind (sort keys %source) {
    my ($told) = map { $_ + ($kind =~ /s:$/ ? $post_quantum : 0) } $page =~ m{<tr><td><code>\Q$kind\E</code></td>(?:(?!</tr>).)*<td>(\d+)</td></tr>}s;
    # What is sent again because the machine is busy only adds to it.
    my $once = min map { my $before = $bytes->(); run('-n', 5, $source{$kind}); ($bytes->() - $before) / 5 } 1 .. 3;
    cmp_ok(abs($once / ($told // 1) - 1), '<', 0.1, "$kind as the page about sources says") or diag "$once bytes, the page says $told";
  }
};

subtest 'the words of a status' => sub {
  my ($names) = Server::slurp("$FindBin::Bin/../mod_extip/round.c") =~ /status_names\[\] = \{(.*?)\};/s;
  my @words = $names =~ /"(.*?)"/g;
  cmp_ok(scalar @words, '>=', 15, 'are known');
  my $page = Server::slurp("$FindBin::Bin/../mod_extip/sources.html");
  like($page, qr{<tr><td><code>\Q$_\E</code></td>}, "'$_' is explained on the page about sources") for @words;
};

done_testing;
