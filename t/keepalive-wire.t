#!/usr/bin/perl
# What goes over the wire, counted by tcpdump, and what a session without a
# transfer asks of the kernel, seen by strace.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use POSIX ();
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;
for my $tool (qw(tcpdump strace)) {
  plan skip_all => "$tool (Debian package $tool) is missing" unless grep { -x "$_/$tool" } qw(/usr/bin /usr/sbin);
}

my $RATE = 100_000 / 1024;
my $server = Server->start(
  modules => [qw(mod_tls mod_ifsession mod_keepalive)],
  config  => sub {
    my ($self) = @_;
    my $passwd = Server::slurp("$self->{dir}/passwd");
    $self->write_file('passwd', join('', map { $passwd =~ s/^ftp:/$_:/r } qw(ftp reply none deadline)), 0640);
    return Server::tls() . <<"EOC";
KeepaliveEngine on
KeepaliveRule * interval 1s
TransferRate RETR $RATE
<IfUser reply>
KeepaliveRule * interval 1s method reply
</IfUser>
<IfUser none>
KeepaliveRule * interval 1s method none
</IfUser>
<IfUser deadline>
KeepaliveRule * interval 60s deadline 300s
</IfUser>
EOC
  },
);
$server->file('six', size => 600_000);    # 6 s

my $dir = $server->dir;
my $dump = spawn('tcpdump', '-i', 'lo', '-U', '-w', "$dir/pcap", 'tcp', 'port', $server->port);
Net::wait_for(sub { -s "$dir/pcap" }, 10) or die 'tcpdump does not listen';

sub spawn {
  my @command = @_;
  my $pid = fork // die "fork: $!";
  return $pid if $pid;
  open STDOUT, '>>', "$dir/spawned";
  open STDERR, '>&', \*STDOUT;
  exec @command or POSIX::_exit(127);
}

sub session {
  my ($user, $tls) = @_;
  my $c = Client->connect('127.0.0.1', $server->port);
  $c->auth_tls($tls eq '1.2' ? (SSL_version => 'TLSv1_2') : ()) if $tls;
  $c->login($user);
  $c->cmd('TYPE I');
  return $c;
}

# Everything at the same time: 6 s of transfer, then 5 idle seconds.
my %case = (
  'tcp on plain FTP'   => ['ftp',   ''],
  'auto on TLS 1.3'    => ['ftp',   '1.3'],
  'reply on plain FTP' => ['reply', ''],
  'reply on TLS 1.2'   => ['reply', '1.2'],
  'reply on TLS 1.3'   => ['reply', '1.3'],
  'none on plain FTP'  => ['none',  ''],
);
for my $name (keys %case) {
  my ($user, $tls) = @{ $case{$name} };
  my $c = session($user, $tls);
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  $c->send('RETR six');
  $c->reply;
  $data = $c->data_tls($data);
  $case{$name} = { user => $user, tls => $tls, c => $c, data => $data, port => $c->{socket}->sockport, start => time };
}
for my $case (values %case) {
  my $pid = fork // die;
  if ($pid == 0) {
    1 while sysread $case->{data}, my $bytes, 65536;
    POSIX::_exit(0);
  }
  push @{ $case->{pids} }, $pid;
}
waitpid $_, 0 for map { @{ $_->{pids} } } values %case;
is(($_->{c}->reply)[0], 226, 'a transfer ends') for values %case;
my $end = time;
sleep 5;
my $later = time;
kill 'INT', $dump;
waitpid $dump, 0;

# Packets from the server: (time, payload bytes) by the client's port.
my %packets;
for (`tcpdump -r $dir/pcap -tt -n src port @{[$server->port]} 2>/dev/null`) {
  my ($when, $to, $length) = /^([\d.]+) IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.(\d+): .* length (\d+)/ or next;
  push @{ $packets{$to} }, [$when, $length];
}

# The transfer without its ends, where the replies are.
sub between { my ($case, $from, $to) = @_; return grep { $_->[0] > $from && $_->[0] < $to } @{ $packets{ $case->{port} } } }

for my $name (sort keys %case) {
  my $case = $case{$name};
  my @during = between($case, $case->{start} + 0.6, $case->{start} + 5.6);
  my @payload = grep { $_ > 0 } map { $_->[1] } @during;
  if ($name =~ /^tcp/) {
    is(scalar(@payload), 0, "$name: no payload");
    cmp_ok(scalar(@during), '>=', 3, '... but probes: ' . @during);
  } elsif ($name =~ /^auto/) {
    cmp_ok(scalar(@payload), '>=', 3, "$name: tickets, " . @payload . ' in 5 s');
    is((grep { $_ > 300 || $_ < 200 } @payload), 0, "... one each: @payload bytes");
  } elsif ($name =~ /^none/) {
    is(scalar(@during), 0, "$name: nothing at all");
  } else {
    my $framing = $case->{tls} eq '1.3' ? 22 : $case->{tls} eq '1.2' ? 29 : 0;
    cmp_ok(scalar(@payload), '>=', 3, "$name: keepalives, " . @payload . ' in 5 s');
    my $opening = length('226-Transferring') + $framing;
    cmp_ok((grep { $_ == $opening } @payload), '<=', 1, '... one of them opens the reply');
    is((grep { $_ != 1 + $framing && $_ != $opening } @payload), 0, "... the others have one byte each" . ($framing ? " in a record of its own: @payload" : ''));
  }
  my @idle = between($case, $end + 0.3, $later);
  is((grep { $_->[1] > 0 } @idle), 0, '... and in idle seconds afterwards no payload');
  my $probes = $name =~ /^none/ ? @idle == 0 : @idle >= 2 && @idle <= 6;
  ok($probes, $name =~ /^none/ ? '... and no probes' : '... but probes: ' . @idle);
}
$_->{c}->quit for values %case;

# After login: the same system calls as with the engine off, for commands
# without a transfer. Also with a deadline.
sub calls {
  my ($user, $name) = @_;
  my %known = map { $_ => 1 } $server->children;
  my $c = session($user, '');
  my ($pid) = grep { !$known{$_} } $server->children;
  $c->cmd('NOOP');
  my $strace = spawn('strace', '-f', '-p', $pid, '-o', "$dir/strace.$name");
  Net::wait_for(sub { Server::slurp("$dir/spawned") =~ /Process $pid attached/ }, 10) or die 'strace is not attached';
  $c->cmd($_) for 'NOOP', 'PWD', 'CWD /', 'MLST six', 'SIZE six', 'SYST';
  sleep 1.5;
  $c->cmd($_) for 'FEAT', 'NOOP';
  kill 'INT', $strace;
  waitpid $strace, 0;
  $c->quit;
  return map { /^\d+ +(\w+)\((.*)/ ? [$1, $2] : () } split /\n/, Server::slurp("$dir/strace.$name");
}

# Only ours touch TCP options, poll(2) the socket, or set a timer of a second.
sub ours { return grep { $_->[0] =~ /sockopt$/ && $_->[1] =~ /TCP_(?:INFO|KEEP|USER)|SO_KEEPALIVE/ or $_->[0] eq 'poll' } @_ }

for my $user (qw(ftp reply deadline)) {
  my @calls = calls($user, $user);
  cmp_ok(scalar(@calls), '>', 50, "$user: strace saw a session without a transfer");
  is_deeply([map { "$_->[0]($_->[1]" } ours(@calls)], [], '... and no system call of ours');
}
my %of = map { my $user = $_; my %seen = map { $_->[0] => 1 } calls($user, "again-$user"); $user => [sort keys %seen] } qw(none reply);
is_deeply($of{reply}, $of{none}, 'a rule or none: the same kinds of system calls') or diag explain \%of;

done_testing;
