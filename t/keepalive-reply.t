#!/usr/bin/perl
# Method reply, line by line: one 226 whatever the transfer, the replies to
# other commands after it, and after a failure nothing but the end of the
# control connection.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Scenarios;
use Server;
use Socket ();
use Stock;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

# A client that reads slowly is not to find a whole listing in its socket.
system('sysctl', '-qw', 'net.ipv4.tcp_rmem=4096 65536 65536', 'net.ipv4.tcp_wmem=4096 65536 65536') == 0 or die 'sysctl';

my ($SIZE, $RATE) = (600_000, 200_000 / 1024);    # 3 s
my $server = Server->start(
  modules => [qw(mod_tls mod_keepalive)],
  config  => sub {
    my ($self) = @_;
    return Server::tls() . <<"EOC";
KeepaliveEngine on
KeepaliveRule * interval 1s method reply
KeepaliveLog $self->{dir}/keepalive.log
TransferRate RETR,STOR,APPE,STOU $RATE
MaxStoreFileSize 500000 B user ftp
TimeoutStalled 20
UseSendfile off
SocketOptions sndbuf 65536

EOC
  },
);
$server->file('big', size => $SIZE);
$server->file('text', text => "a line of text\n" x 40_000);
$server->file('empty');
$server->file('quick', text => 'quick');
mkdir $server->home . '/many';
for my $number (1 .. 2000) {
  open my $file, '>', sprintf '%s/many/%s%05d', $server->home, 'n' x 250, $number;
}

sub session {
  my ($tls) = @_;
  my $c = Client->connect('127.0.0.1', $server->port);
  $c->auth_tls($tls eq '1.2' ? (SSL_version => 'TLSv1_2') : ()) if $tls;
  $c->login;
  $c->cmd('TYPE I');
  return $c;
}

sub open_transfer {
  my ($c, $command, %opt) = @_;
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  setsockopt $data, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 65536 if $opt{slow};
  $c->{begin} = time;
  my ($code, $text) = $c->cmd($command);
  die "$command: $text" unless $code == 150;
  return $c->data_tls($data) // die 'no TLS on the data connection';
}

# Waits for the first keepalive, which opens the reply.
sub opened { my ($c) = @_; $c->heard(qr/^226-/m) or die 'no keepalive'; return }

# Slow from the first byte on: before that the server collects a listing, during
# which it sends nothing.
sub read_all {
  my ($data, $slow) = @_;
  my $bytes = sysread($data, my $first, 1) || 0;
  my $end = time + ($slow // 0);
  while (1) {
    sleep 0.1 if time < $end;
    my $got = sysread $data, my $chunk, time < $end ? 512 : 65536;
    last unless $got;
    $bytes += $got;
  }
  close $data;
  return $bytes;
}

sub send_all {
  my ($data, $bytes) = @_;
  local $SIG{PIPE} = 'IGNORE';
  my $at = 0;
  while ($at < length $bytes) {
    my $wrote = syswrite $data, $bytes, 16384, $at or last;
    $at += $wrote;
  }
  if ($data->can('get_sslversion')) {    # tickets left unread reset the connection
    $data->blocking(0);
    sysread $data, my $tickets, 1 for 1 .. 4;
  }
  close $data;
}

# The reply that was opened after a second and has had one byte in each since, in
# a transfer that began at this time, and its end.
sub grown {
  my ($text, $begin) = @_;
  my ($dots) = $text =~ /\A226-Transferring(\.*)\r\n226 Transfer complete\z/ or return 0;
  return length $dots <= time - $begin;
}

my $STOCK = '226 Transfer complete';
my $ABORT = Stock::abort();

sub ends_well {
  my ($c, $what, $quick) = @_;
  my ($code, $text) = $c->reply;
  Scenarios::check($quick ? $text eq $STOCK : grown($text, $c->{begin}), "$what ends with one 226"
    . ($quick ? ', as stock' : ' that has grown'), $text);
  my ($next, $bytes) = (map { $_ // '' } ($c->retr('quick'))[0, 2]);
  Scenarios::check($next eq '226' && $bytes eq 'quick', '... the control connection is in step', "$next $bytes");
}

# After the failure the client hears nothing that it could take for success.
sub ends_silently {
  my ($c, $what) = @_;
  my ($code, $text) = $c->reply;
  Scenarios::check(defined $code && $code == 0, "$what: the control connection is closed", $code // 'nothing came');
  Scenarios::check(scalar($text !~ /^226 /m && $text !~ /\r\n/), '... and no reply was finished', $text);
}

sub slow_download {
  my ($tls, $command, %opt) = @_;
  my $c = session($tls);
  $c->cmd($_) for @{ $opt{before} // [] };
  my $bytes = read_all(open_transfer($c, $command, slow => $opt{slow}), $opt{slow});
  Scenarios::check($bytes > 0, "$command has data") unless $opt{empty};
  ends_well($c, $command, $opt{quick});
}

sub slow_upload {
  my ($tls, $command, $size) = @_;
  my $c = session($tls);
  my $data = open_transfer($c, $command);
  send_all($data, 'x' x $size);
  ends_well($c, $command);
}

my @scenarios;
for my $tls ('', '1.2', $ENV{LONG} ? '1.3' : ()) {
  my $over = $tls ? "TLS $tls" : 'plain FTP';
  my $add = sub { my ($what, $code) = @_; push @scenarios, ["$over, $what", $code] };

  $add->('an upload that stalls', sub {
    my $c = session($tls);
    my $data = open_transfer($c, "STOR stalls$tls");
    syswrite $data, 'x' x 1000;
    ends_silently($c, 'TimeoutStalled');
  });
  $add->('download',    sub { slow_download($tls, 'RETR big') });
  $add->('upload',      sub { slow_upload($tls, "STOR up$tls", 450_000) });
  $add->('APPE',        sub { slow_upload($tls, "APPE append$tls", 450_000) });
  $add->('STOU',        sub { slow_upload($tls, 'STOU', 450_000) });
  $add->('REST',        sub { slow_download($tls, 'RETR big', before => ['REST 100000']) });
  $add->('ASCII',       sub { slow_download($tls, 'RETR text', before => ['TYPE A']) });
  $add->('LIST',        sub { slow_download($tls, 'LIST many', slow => 2.5) });
  $add->('NLST',        sub { slow_download($tls, 'NLST many', slow => 2.5) });
  $add->('MLSD',        sub { slow_download($tls, 'MLSD many', slow => 2.5) });
  $add->('zero length', sub { slow_download($tls, 'RETR empty', empty => 1, quick => 1) });
  $add->('before the first keepalive', sub { slow_download($tls, 'RETR quick', quick => 1) });

  $add->('NOOP and others within', sub {
    my $c = session($tls);
    my $data = open_transfer($c, 'RETR big');
    opened($c);
    $c->send($_) for 'NOOP', 'STAT', 'PWD', 'LIST';
    $c->heard(qr/226-Transferring\./);
    $c->send('NOOP');
    read_all($data);
    my ($code, $text) = $c->reply;
    Scenarios::check(grown($text, $c->{begin}), 'the 226 comes first and whole', $text);
    my @codes = map { ($c->reply)[0] } 1 .. 5;
    Scenarios::check(scalar("@codes" =~ /^200 211 257 4\d\d 200$/), '... and then the other replies, in their order', "@codes");
    Scenarios::check(($c->cmd('NOOP'))[0] == 200, '... and the connection is in step');
  });

  $add->('ABOR within', sub {
    my $c = session($tls);
    my $data = open_transfer($c, 'RETR big');
    opened($c);
    $c->send('ABOR');
    ends_silently($c, 'ABOR');
  });
  $add->('ABOR before the first keepalive', sub {
    my $c = session($tls);
    my $data = open_transfer($c, 'RETR big');
    my $replies = $c->abort($data);
    Scenarios::check($replies eq $ABORT, 'is answered as by stock', $replies);
    Scenarios::check(scalar($replies =~ /^(?:426 226|226 426)$/), '... with both replies', $replies);
  }) unless $tls;    # over TLS ProFTPD sees it too late
  $add->('QUIT within', sub {
    my $c = session($tls);
    my $data = open_transfer($c, 'RETR big');
    opened($c);
    $c->send('QUIT');
    ends_silently($c, 'QUIT');
  });
  $add->('the client resets the data connection', sub {
    my $c = session($tls);
    my $data = open_transfer($c, 'RETR big');
    opened($c);
    my $socket = $data->can('get_sslversion') ? IO::Socket::SSL::_get_ssl_object($data) && $data : $data;
    setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
    $data->can('get_sslversion') ? $data->close(SSL_no_shutdown => 1) : close $data;
    ends_silently($c, 'a reset');
  });
  $add->('an upload that is too big', sub {
    my $c = session($tls);
    my $data = open_transfer($c, "STOR toobig$tls");
    send_all($data, 'x' x $SIZE);
    ends_silently($c, '552');
  });
}

# So many at once that the waiting is shared, and not so many that a slow
# machine runs into TimeoutStalled.
Scenarios::run(20, @scenarios);

my @log = split /\n/, Server::slurp("$server->{dir}/keepalive.log");
for my $code (Stock::reset(), 552) {
  ok((grep { /transfer failed after its 226 was started: closing instead of '$code / } @log),
    "the log says why a connection was closed, and has the $code that was not sent");
}
is((grep { !/failed after its 226/ } @log), 0, '... and nothing else');
# An address has at most 45 characters, and here nine.
is((grep { length(s/^.*?\]: //r) > 160 - 36 } @log), 0, '... in at most 160 characters, whatever the address');

my $report = $server->ctl_json('keepalive', 'status');
cmp_ok($report->{sent}{reply}, '>', 25, '... counts what was sent');
is($report->{broken}, scalar(@log), '... and the replies that were broken off');
is($report->{in_transfer}, 0, '... and nobody is left in it');

# A daemon that is told to end while a reply is open.
{
  my $c = session('');
  my $data = open_transfer($c, 'RETR big');
  opened($c);
  kill 'TERM', $server->children;
  my ($code, $text) = $c->reply;
  ok(defined $code && $code == 0 && $text !~ /^226 /m, 'SIGTERM of the session: no reply is finished')
    or diag $code, $text;
}

done_testing;
