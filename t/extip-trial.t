#!/usr/bin/perl
# extip-helper probe: what it says when it cannot be asked in this way, when the
# TURN server or the checker misbehaves, and when the ports do.

use strict;
use warnings;
use File::Temp;
use Net 'private';
use BadServer;
use Coturn;
use IO::Socket::INET;
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'a network namespace of its own needs root' unless Net::private();
plan skip_all => 'turnserver (Debian package coturn) is missing' unless -x '/usr/bin/turnserver';

# Addresses that a TURN server connects to: it does not to loopback.
system('ip', 'addr', 'add', $_, 'dev', 'lo') == 0 or die "cannot add $_" for '198.51.100.2/32', '198.51.100.9/32';
my $host = '198.51.100.2';
my $dir = File::Temp->newdir;
chmod 0755, $dir;

sub credentials {
  my ($name, $text, $mode) = @_;
  open my $file, '>', "$dir/$name" or die "$dir/$name: $!";
  print $file $text;
  chmod $mode // 0600, $file;
  return "$dir/$name";
}

my $right = credentials(right => "joe:secret\r\n");
my $bad = BadServer->start(host => $host);
my $coturn = Coturn->start(host => $host, user => 'joe:secret');

# Starts one, and reads what it says to its end.
sub start { my (@words) = @_; open my $said, '-|', "$Server::BUILD/extip-helper", 'probe', @words or die "extip-helper: $!"; return $said }
sub rest { my ($said) = @_; local $/; my $text = <$said> // ''; close $said; return ($? >> 8, $text) }

sub says {
  my ($words, $status, $expected, $name) = @_;
  my ($got, $text) = rest(ref $words eq 'ARRAY' ? start(@$words) : $words);
  is($got, $status, "$name: the exit status");
  like($text, qr/\A$expected\n\z/, '... and the words') or diag $text;
}

my $full = IO::Socket::INET->new(LocalAddr => '198.51.100.9', LocalPort => 9001, Listen => 1) or die $!;
listen $full, 0;
my @fill = map { IO::Socket::INET->new(PeerAddr => '198.51.100.9:9001', Blocking => 0) } 1 .. 3;
my $open = IO::Socket::INET->new(LocalAddr => '198.51.100.9', LocalPort => 9002, Listen => 5) or die $!;

# What takes its time begins first.
my @where = ('198.51.100.9', 9001);
my @turn = ("turn:$host", credentials => $right);
my $dropped = start(@turn, @where, 9002, 9003);
my $silent = start('turn:' . $bad->at('stream-silent'), credentials => $right, @where);
my $unanswered = start('turn:198.51.100.9:9001', credentials => $right, @where);

# How it is called.
my $usage = qx{$Server::BUILD/extip-helper probe 2>&1 >/dev/null};
is($? >> 8, 2, 'no words: the exit status');
like($usage, qr/^usage: extip-helper probe <probe>/, '... and the usage, on standard error');
my @checker = ('http://' . $bad->at('http') . '/404?{port}');
for my $case (
  [[@checker], 'expected an address and 1 to \d+ ports', 'no address'],
  [[@checker, '198.51.100.9'], 'expected an address and 1 to \d+ ports', 'no port'],
  [[@checker, '198.51.100.9', 1 .. 99], 'expected an address and 1 to \d+ ports', '99 ports'],
  [[@checker, '::1', 21], q{'::1' is not an IPv4 address}, 'an IPv6 address'],
  (map { [[@checker, '198.51.100.9', 21, $_], qr/'\Q$_\E' is not a port \(1-65535\)/, "port '$_'"] } 0, 65536, -1, '', '21x', '9' x 30),
  (map { [[@checker, as => $_, @where], "'$_' is not <uid>:<gid>", "as '$_'"] } '1', '1:', ':1', 'x:1', '1:x', '99999999999:1'),
  [['ftp://192.0.2.1/', @where], q{'ftp://192.0.2.1/': expected turn:.*}, 'no probe'],
  [["turn:$host", credentials => "$dir/none", @where], "credentials '$dir/none': No such file or directory", 'no credentials'],
  (map { [["turn:$host", credentials => credentials("mode-$_", "joe:secret\n", oct), @where], "credentials '$dir/mode-$_': others can read it: chmod 600", "mode $_"] }
    qw(0640 0604 0660 0601)),
  [["turn:$host", credentials => "$dir", @where], "credentials '$dir': others can read it: chmod 600", 'a directory as credentials'],
  (map { [["turn:$host", credentials => credentials("text-$_->[0]", $_->[1]), @where], "credentials '$dir/text-$_->[0]': expected one line, user:password", "credentials $_->[0]"] }
    ['empty', ''], ['without-colon', 'joe'], ['without-user', ':secret'], ['long-user', 'j' x 600 . ':x'], ['long-password', 'j:' . 'x' x 600]),
) {
  my ($words, $expected, $name) = @$case;
  says($words, 2, "failed $expected", $name);
}

# It gives up its privileges; without the right to, it asks nobody.
{
  my @without = ('setpriv', '--bounding-set', '-setgid,-setuid', '--inh-caps', '-setgid,-setuid');
  my $said = qx{@without $Server::BUILD/extip-helper probe '$checker[0]' as 65534:65534 @where};
  is($? >> 8, 2, 'without the capability to become another user: the exit status');
  is($said, "failed cannot become 65534:65534: Operation not permitted\n", '... and the words');
}
says([@checker, as => '65534:65534', @where], 0, '9001 untold the checker answers with status 404', 'as another user');

# The checker.
for my $case (
  ['404', 'the checker answers with status 404'],
  ['good', 'there is no "reachable" in the checker\'s reply'],
  ['big-body', 'the checker\'s reply has more than 4096 bytes'],
  ['reset', '.*Connection reset by peer'],
) {
  my ($path, $expected) = @$case;
  says(['http://' . $bad->at('http') . "/$path?{port}", @where], 0, "9001 untold $expected", "a checker's /$path");
}
says(["http://$host:1/{port}", @where], 0, '9001 untold .*[Cc]onnect.*', 'a checker that is not there');
says(["http://$host/{port}" . 'x' x 2000, @where], 0, '9001 untold the URL is too long', 'a long URL');
my $body = sub {
  my ($json) = @_;
  my $listener = IO::Socket::INET->new(LocalAddr => $host, Listen => 1) or die $!;
  my $said = start("http://$host:@{[$listener->sockport]}/{port}", @where);
  my $client = $listener->accept;
  my $head = <$client>;
  print $client "HTTP/1.0 200 OK\r\n\r\n$json";
  close $client;
  return ($said, $head);
};
for my $case (
  ['{"reachable":true}', 'reached'],
  ["{\"reachable\" :\n true, \"x\": 1}", 'reached'],
  ['{"reachable": false}', 'closed the checker could not connect'],
  ['{"reachable": "true"}', 'untold there is no "reachable" in the checker\'s reply'],
  ['{"reachable" true}', 'untold there is no "reachable" in the checker\'s reply'],
  ['{"unreachable": true}', 'untold there is no "reachable" in the checker\'s reply'],
) {
  my ($json, $expected) = @$case;
  my ($said, $head) = $body->($json);
  like($head, qr{^GET /9001 }, 'the checker is asked for the port');
  says($said, 0, "9001 $expected", $json =~ s/\n/ /r);
}

# The TURN server.
for my $case (
  ['http', 'the server does not speak STUN'],
  ['closed', 'the server ended the connection'],
  ['cut', 'the server ended the connection'],
  ['error', 'wrong method'],
  ['good', 'wrong method'],
  ['wrong-id', 'wrong transaction id'],
) {
  my ($fault, $expected) = @$case;
  says(['turn:' . $bad->at("stream-$fault"), credentials => $right, @where], 1, "failed $expected", "a TURN server that is '$fault'");
}
says(["turn:$host:1", credentials => $right, @where], 1, "failed cannot connect to $host port 1: Connection refused", 'a TURN server that is not there');
says(['turn:192.0.2.1:3478', credentials => $right, @where], 1, 'failed cannot connect to 192.0.2.1 port 3478: Network is unreachable', 'a TURN server that cannot be reached');
says(['turn:nowhere.invalid', credentials => $right, @where], 1, 'failed nowhere.invalid: .*', 'a TURN server whose name does not resolve');
says(["turn:$host", credentials => credentials(wrong => 'joe:guess'), @where], 1, 'failed the server refuses the credentials', 'the wrong password');
says($silent, 1, 'failed no answer from the server in 5000 ms', 'a TURN server that is silent');
says($unanswered, 1, 'failed cannot connect to 198.51.100.9 port 9001: Connection timed out', 'a TURN server that drops packets');

# The ports: one is open, one refuses, the packets to one are dropped.
says($dropped, 0, "from $host\nseen $host\n(?:9002 reached\n9003 closed error 447.*|9003 closed error 447.*\n9002 reached)\n9001 closed no answer in 8 s", 'three ports');

# The server ends while it tries.
my $abandoned = start(@turn, @where);
is(scalar <$abandoned>, "from $host\n", 'the server allocates');
$coturn->stop('KILL');
says($abandoned, 0, "seen $host\n9001 untold the server ended the connection", '... and is killed');
done_testing;
