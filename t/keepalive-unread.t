#!/usr/bin/perl
# A client that does not read its control connection during a transfer, which
# most do not, is never ended by what the module writes, with any receive buffer
# and size of ticket: payload stops when there is no room for it, and probes go
# on, as tcpdump sees.
#
# Half an hour with LONG, else half a minute.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use POSIX ();
use Server;
use Socket qw(SOL_SOCKET SO_RCVBUF IPPROTO_TCP TCP_NODELAY);
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'tcpdump (Debian package tcpdump) is missing' unless grep { -x "$_/tcpdump" } qw(/usr/bin /usr/sbin);

my $SECONDS = $ENV{LONG} ? 1800 : 30;
my ($INTERVAL, $DEADLINE, $RATE) = (1, 10, 40_000);

my $keys = File::Temp::tempdir('keepalive-unread-XXXXXX', TMPDIR => 1, CLEANUP => 1);
system("openssl req -x509 -newkey rsa:4096 -nodes -days 2 -subj /CN=client.example -keyout $keys/key -out $keys/crt 2>/dev/null") == 0
  or die 'openssl could not make a certificate';

my %port = map { $_ => Net::free_port('127.0.0.1') } qw(tls reply telnet);
my $server = Server->start(
  modules => [qw(mod_tls mod_keepalive)],
  config  => sub {
    my ($self) = @_;
    my $tls = Server::tls(options => 'NoSessionReuseRequired AllowPerUser');
    return "TLSEngine off\n" . join '', map { <<"EOC" } sort keys %port;
<VirtualHost 127.0.0.1>
Port $port{$_}
AuthOrder mod_auth_file.c
AuthUserFile $self->{dir}/passwd
RequireValidShell off
AllowOverwrite on
KeepaliveEngine on
KeepaliveRule * interval ${INTERVAL}s deadline ${DEADLINE}s method $_
TransferRate RETR,STOR @{[$RATE / 1024]}
$tls
TLSCACertificateFile $keys/crt
TLSVerifyClient optional
</VirtualHost>
EOC
  },
);
$server->file('long', size => 2 * $RATE * $SECONDS);

my $dir = $server->dir;
my $dump = fork // die "fork: $!";
if ($dump == 0) {
  open STDOUT, '>>', "$dir/said";
  open STDERR, '>&', \*STDOUT;
  exec 'tcpdump', '-i', 'lo', '-U', '-s', '100', '-w', "$dir/pcap", 'tcp and (' . join(' or ', map { "src port $_" } values %port) . ')'
    or POSIX::_exit(127);
}
Net::wait_for(sub { -s "$dir/pcap" }, 10) or die 'tcpdump does not listen';

# A control connection with a receive buffer of its own (0: the default).
sub session {
  my ($method, $buffer, $cert) = @_;
  no warnings 'redefine';
  my $dial = \&Client::dial;
  local *Client::dial = sub {
    my ($self, $host, $port) = @_;
    return IO::Socket::IP->new(PeerHost => $host, PeerPort => $port,
      $buffer ? (Sockopts => [[SOL_SOCKET, SO_RCVBUF, pack 'i', $buffer]]) : ());
  };
  my $c = Client->connect('127.0.0.1', $port{$method});
  *Client::dial = $dial;
  $c->auth_tls(SSL_version => 'TLSv1_3', $cert ? (SSL_cert_file => "$keys/crt", SSL_key_file => "$keys/key") : ())
    if $method eq 'tls';
  $c->login;
  $c->cmd('TYPE I');
  return $c;
}

# A steady transfer in a process of its own, until it is killed.
sub begin {
  my ($c, $way) = @_;
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  my ($code, $text) = $c->cmd($way);
  die "$way: $text" unless $code == 150;
  $data = $c->data_tls($data);
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    if ($way =~ /^STOR/) { 1 while syswrite $data, 'x' x 10_000 }
    else                 { 1 while sysread $data, my $bytes, 1 << 16 }
    POSIX::_exit(0);
  }
  return $pid;
}

my @cases;
for my $buffer (4096, 65536, 0) {
  for my $cert (0, 1) {
    push @cases, { method => 'tls', buffer => $buffer, cert => $cert, way => $_ } for 'RETR long', "STOR up$buffer$cert";
  }
  push @cases, { method => $_, buffer => $buffer, cert => 0, way => 'RETR long' } for qw(reply telnet);
}
for my $case (@cases) {
  my %before = map { $_ => 1 } $server->children;
  $case->{c} = session(@$case{qw(method buffer cert)});
  ($case->{pid}) = grep { !$before{$_} } $server->children;
  $case->{mover} = begin($case->{c}, $case->{way});
  $case->{start} = time;
}
sleep $SECONDS;
my $end = time;
my %alive = map { $_ => 1 } $server->children;
my ($status) = ($server->ctl('keepalive', 'status'))[1];
kill 'INT', $dump;
waitpid $dump, 0;
kill 'KILL', $_->{mover} and waitpid $_->{mover}, 0 for @cases;

my %packets;
open my $packets, '-|', "tcpdump -r $dir/pcap -tt -n 2>/dev/null" or die $!;
while (<$packets>) {
  my ($when, $to) = /^([\d.]+) IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.(\d+): / or next;
  push @{ $packets{$to} }, $when;
}

for my $case (@cases) {
  my $what = "method $case->{method}, $case->{way}, receive buffer " . ($case->{buffer} || 'default')
    . ($case->{cert} ? ', client certificate' : '');
  ok($alive{ $case->{pid} }, "$what: the session lives after $SECONDS s") or next;
  my @when = grep { $_ > $case->{start} } @{ $packets{ $case->{c}{socket}->sockport } // [] };
  my ($gap, $last) = (0, $case->{start});
  for my $when (@when, $end) {
    $gap = $when - $last if $when - $last > $gap;
    $last = $when;
  }
  cmp_ok($gap, '<=', $INTERVAL + 2, sprintf '... and gets a packet at least every %.1f s, %d in all', $gap, scalar @when);
}
like($status, qr/client's window had no room [1-9]/, 'what was not sent is counted, with its reason') or diag $status;
unlike($server->log, qr/keepalive.*gone/, 'nobody is said to be gone');

done_testing;
