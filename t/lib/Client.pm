package Client;

# An FTP client that shows every reply as it came and does nothing on its own.

use strict;
use warnings;
use IO::Select;
use IO::Socket::IP;
use Limits;
use Net;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

# connect($host, $port, netns => name, from => local address, timeout => s): a
# reply that takes longer than the timeout, a generous one if none is given, is
# none.
sub connect {
  my ($class, $host, $port, %opt) = @_;
  my $self = bless { host => $host, timeout => Limits::of(10), %opt, buffer => '' }, $class;
  $self->{socket} = $self->dial($host, $port) or die "connect $host:$port: $@";
  setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;
  @$self{qw(code greeting)} = $self->reply;
  return $self;
}

# A TCP connection from where this client is.
sub dial {
  my ($self, $host, $port, $timeout) = @_;
  return Net::in($self->{netns}, sub {
    IO::Socket::IP->new(
      PeerHost => $host, PeerPort => $port, Timeout => $timeout // $self->{timeout},
      ($self->{from} ? (LocalHost => $self->{from}) : ()),
    );
  });
}

# One reply: (code, text with all its lines); code 0 when the server is gone
# and undef when it did not come, whole, in time.
sub reply {
  my ($self, $timeout) = @_;
  my $end = time + ($timeout // $self->{timeout});
  my $text = '';
  my $code;
  while (1) {
    my $line = $self->line($end - time);
    return defined $line ? (0, $text) : (undef, $text) unless $line;
    $text .= $line;
    $code //= $1 if $line =~ /^(\d{3})[ -]/;
    last if defined $code and $line =~ /^$code /;
  }
  return ($code, $text =~ s/\r\n\z//r);
}

# Reads until what is there, unread, matches: 1, 0 when the server is gone, and
# undef when that did not come in time.
sub heard {
  my ($self, $pattern, $timeout) = @_;
  my $end = time + ($timeout // $self->{timeout});
  while ($self->{buffer} !~ $pattern) {
    my $socket = $self->{socket} or return 0;
    my $left = $end - time;
    my $pending = $socket->can('pending') ? $socket->pending : 0;
    return if $left <= 0 or !$pending && !IO::Select->new($socket)->can_read($left);
    # What can be read may be a TLS ticket, after which nothing comes.
    $socket->blocking(0);
    my $got = sysread $socket, my $chunk, 16384;
    my $later = !defined $got && ($!{EAGAIN} || $!{EINTR});
    $socket->blocking(1);
    next if $later;
    return 0 unless $got;
    $self->{buffer} .= $chunk;
  }
  return 1;
}

# The next line, '' when the server is gone, undef when it did not come in time.
sub line {
  my ($self, $timeout) = @_;
  my $heard = $self->heard(qr/\n/, $timeout);
  return defined $heard ? '' : undef unless $heard;
  $self->{buffer} =~ s/^([^\n]*\n)//;
  return $1;
}

sub send {
  my ($self, $line) = @_;
  local $SIG{PIPE} = 'IGNORE';
  return syswrite $self->{socket}, "$line\r\n";
}

sub cmd {
  my ($self, $line, $timeout) = @_;
  $self->send($line);
  return $self->reply($timeout);
}

sub login {
  my ($self, $user, $password) = @_;
  $self->cmd('USER ' . ($user // 'ftp'));
  my ($code, $text) = $self->cmd('PASS ' . ($password // 'ftp'));
  die 'login: ', !defined $code ? 'no reply in time' : $code == 0 ? 'the server is gone' : $text unless ($code // 0) == 230;
  return $self;
}

sub auth_tls {
  my ($self, %opt) = @_;
  require IO::Socket::SSL;
  my ($code, $text) = $self->cmd('AUTH TLS');
  die "AUTH TLS: $text" unless $code == 234;
  $self->{tls} = {
    SSL_verify_mode => 0, SSL_session_cache_size => 10, SSL_session_key => "c$self", %opt,
  };
  IO::Socket::SSL->start_SSL($self->{socket}, %{ $self->{tls} })
    or die 'TLS: ' . IO::Socket::SSL::errstr();
  $self->cmd('PBSZ 0');
  $self->cmd('PROT P');
  return $self;
}

# PASV or EPSV: (address, port), or nothing with the reply in ->{last}.
sub pasv {
  my ($self) = @_;
  my ($code, $text) = @$self{qw(code last)} = $self->cmd('PASV');
  return unless ($code // 0) == 227
    and $text =~ /\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)/;
  return ("$1.$2.$3.$4", $5 * 256 + $6);
}

sub epsv {
  my ($self, $argument) = @_;
  my ($code, $text) = @$self{qw(code last)} = $self->cmd(join ' ', 'EPSV', $argument // ());
  return unless ($code // 0) == 229 and $text =~ /\(\|\|\|(\d+)\|\)/;
  return ($self->{host}, $1);
}

# The data connection to an announced address, in TLS if the control one is.
sub data {
  my ($self, $host, $port, $timeout) = @_;
  return $self->dial($host, $port, $timeout);
}

sub data_tls {
  my ($self, $data) = @_;
  return $data unless $self->{tls};
  return IO::Socket::SSL->start_SSL($data, %{ $self->{tls} },
    SSL_reuse_ctx => $self->{socket}) ? $data : undef;
}

# A whole transfer: (code, text of the final reply, bytes or length).
sub transfer {
  my ($self, $command, %opt) = @_;
  my ($host, $port) = $opt{epsv} ? $self->epsv : $self->pasv;
  return ($self->{code}, $self->{last}) unless $port;
  my $data = $self->data($host, $port, $opt{connect_timeout}) or return (-1, "connect $host:$port: $@");
  my ($code, $text) = $self->cmd($command);
  return ($code, $text) unless ($code // 0) == 150 or ($code // 0) == 125;
  $data = $self->data_tls($data) or return (-1, 'TLS on the data connection');
  my $bytes = '';
  if (exists $opt{send}) {
    local $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    while ($at < length $opt{send}) {
      my $wrote = syswrite $data, $opt{send}, 65536, $at or last;
      $at += $wrote;
    }
  } else {
    1 while sysread $data, $bytes, 1 << 20, length $bytes;
  }
  close $data;
  return ($self->reply($opt{timeout}), $bytes);
}

sub retr { my ($self, $name, %opt) = @_; return $self->transfer("RETR $name", %opt) }
sub stor { my ($self, $name, $text, %opt) = @_; return $self->transfer("STOR $name", send => $text, %opt) }

# Aborts the transfer that is under way on this data connection: the codes of
# both replies, in their order.
sub abort {
  my ($self, $data) = @_;
  my ($code) = $self->cmd('ABOR');
  CORE::close $data;
  return join ' ', map { $_ // 'none' } $code, ($self->reply)[0];
}

sub quit {
  my ($self) = @_;
  my @reply = $self->cmd('QUIT');
  $self->close;
  return @reply;
}

# The same, and waits for the end of the session, which comes after the reply
# and only then gives its ports back.
sub leave {
  my ($self) = @_;
  $self->send('QUIT');
  1 while $self->line($self->{timeout});
  $self->close;
}

sub close { my ($self) = @_; close delete $self->{socket} if $self->{socket} }

1;
