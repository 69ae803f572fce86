# One round over all sources: what is sent where, when it ends, and that it
# leaves nothing behind.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadServer;
use IO::Socket::INET;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'a network namespace of its own needs root' unless Net::private();

my $tool = "$Server::BUILD/tools/extip-round";
my $slow = $ENV{SANITIZE} ? 3 : 1;
my $bad = BadServer->start(dns => 1);
my $good = BadServer::GOOD;

Net::resolver($bad->{host});

# Standard output of the tool, and how long it took.
sub run {
  my (@words) = @_;
  my $start = time;
  open my $out, '-|', $tool, '-c', $bad->ca, @words or die "$tool: $!";
  my $said = do { local $/; <$out> // '' };
  close $out;
  return wantarray ? ($said, time - $start) : $said;
}

sub children_of { my ($pid) = @_; return split ' ', Server::slurp("/proc/$pid/task/$pid/children") }

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
  my $said = run('-t', 1000 * $slow, $bad->http('/good'), ',', $bad->https('good', '/good'), ',', $bad->stuns('good'));
  is(scalar(() = $said =~ /\[ok\]/g), 3, 'names no proxy for us') or diag $said;
  $trap->blocking(0);
  ok(!$trap->accept, 'which is never connected to');
};

subtest 'STUN over UDP' => sub {
  my ($ms) = run('-t', 2500, $bad->stun('third'), ',', $bad->stun('silent')) =~ /\[ok\].* (\d+) ms/;
  cmp_ok($ms // 0, '>=', 1495, 'the third request is sent after 1.5 s, as RFC 8489 has it');
  is($bad->requests('silent'), 3, 'in 2.5 s there are three');
};

subtest 'the end of a round' => sub {
  my @hanging = map { ($bad->http("/hang-before?$_"), ',') } 1 .. 10;
  my ($said, $took) = run('-t', 1000, @hanging, $bad->http('/good'));
  is(scalar(() = $said =~ /\[timeout\].* [1-4]\d\d\d ms/g), 10, 'ten hanging sources time out') or diag $said;
  cmp_ok($took, '<', 5 * $slow, 'in the time of one');

  ($said, $took) = run('-t', 8000, '-f', @hanging, $bad->http('/good'));
  like($said, qr/\[ok\]/, 'the caller can end it with an answer that is enough');
  is(scalar(() = $said =~ /\[cancelled\].*the round ended early/g), 10, 'which cancels the others');
  cmp_ok($took, '<', 4, 'and waits for none of them');

  pipe my $in, my $wake or die $!;
  my $pid = fork // die $!;
  if (!$pid) {
    open STDIN, '<&', $in;
    open STDOUT, '>', "$bad->{dir}/woken";
    exec $tool, '-t', 20_000, '-w', $bad->http('/hang-before?w'), ',', $bad->http('/good?w');
  }
  Net::wait_for(sub { $bad->requests('/hang-before?w') && $bad->requests('/good?w') });
  sleep 0.1;
  my $start = time;
  close $in;
  close $wake;
  waitpid $pid, 0;
  cmp_ok(time - $start, '<', 2, 'a hung-up wake descriptor ends it at once');
  like(Server::slurp("$bad->{dir}/woken"), qr/\[cancelled\].*\n.*\[ok\]/, 'with the answers so far');
};

subtest 'a resolver that does not answer' => sub {
  my ($said, $took) = run('-t', 1000, 'stun:dead.example', ',', 'https://dead.example/', ',', $bad->stun('good'));
  is(scalar(() = $said =~ /\[dns\].*'dead.example' not resolved in 1000 ms/g), 2, 'costs its sources their answer') or diag $said;
  like($said, qr/\[ok\]/, 'and no other one');
  cmp_ok($took, '<', 5 * $slow, 'and no time beyond the time-out');

  my $pid = fork // die $!;
  if (!$pid) {
    open STDOUT, '>', '/dev/null';
    exec $tool, '-t', 30_000, 'stun:dead.example', ',', 'stun:dead-2.example';
  }
  my @resolvers;
  Net::wait_for(sub { @resolvers = children_of($pid); @resolvers == 2 && Server::slurp("/proc/$pid/comm") =~ /extip-round/ });
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

subtest 'the words of a status' => sub {
  my ($names) = Server::slurp("$FindBin::Bin/../mod_extip/round.c") =~ /status_names\[\] = \{(.*?)\};/s;
  my @words = $names =~ /"(.*?)"/g;
  cmp_ok(scalar @words, '>=', 15, 'are known');
  my $page = Server::slurp("$FindBin::Bin/../mod_extip/sources.html");
  like($page, qr{<tr><td><code>\Q$_\E</code></td>}, "'$_' is explained on the page about sources") for @words;
};

done_testing;
