#!/usr/bin/perl
# TimeoutIdle, TimeoutNoTransfer, TimeoutSession and TimeoutStalled with a
# keepalive every second and with the engine off, at the same time: the same
# replies, and the ends at the same second.
#
# All methods with LONG, else some.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::SSL ();
use List::Util qw(max);
use POSIX ();
use Server;
use Socket ();
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

# Method, and whether the control connection has TLS.  Those that are off come
# first: the others are compared with them.
my @kinds = (
  ['off', 0], ['off', 1], ['tls', 1], ['reply', 0],
  $ENV{LONG} ? (['tcp', 0], ['tcp', 1], ['auto', 1], ['reply', 1], ['telnet', 0]) : (),
);
my %method = map { $_->[0] => 1 } @kinds;

# One virtual host for each method and limit.
my $LIMIT = 4;
my $LONG = 1.6 * $LIMIT;
# Those of a session begin before its login, which takes longer on a busy machine.
my $OF_SESSION = int($LIMIT * max(1, Limits::slowness() / 5));
my %limit = (
  idle     => "TimeoutIdle $OF_SESSION",
  notrans  => "TimeoutNoTransfer $OF_SESSION",
  session  => "TimeoutSession $OF_SESSION",
  stalled  => "TimeoutStalled $LIMIT\nUseSendfile on",
  buffered => "TimeoutStalled $LIMIT\nUseSendfile off",
  seldom   => "TimeoutStalled $LIMIT\nUseSendfile on",    # a keepalive every three seconds
);
my %port = map { my $limit = $_; map { ("$limit $_" => Net::free_port('127.0.0.1')) } keys %method } keys %limit;

my $server = Server->start(
  modules => [qw(mod_tls mod_keepalive)],
  config  => sub {
    my ($self) = @_;
    my $tls = Server::tls();
    return join '', map {
      my ($limit, $method) = split;
      my $interval = $limit eq 'seldom' ? 3 : 1;
      my $engine = $method eq 'off' ? 'off' : "on\nKeepaliveRule * interval ${interval}s method $method";
      <<"EOC";
<VirtualHost 127.0.0.1>
Port $port{$_}
AuthOrder mod_auth_file.c
AuthUserFile $self->{dir}/passwd
RequireValidShell off
AllowOverwrite on
TimeoutLinger 1
$limit{$limit}
KeepaliveEngine $engine
$tls</VirtualHost>
EOC
    } sort keys %port;
  },
);
$server->file('big', size => 1 << 26);
$server->file('long', size => 40_000_000);    # ten times what sockets hold

# ProFTPD's timers count on a clock of whole seconds: all begin in the same part
# of one.
sub in_step { my $now = time; sleep 1.3 - ($now - int $now) }

sub session {
  my ($limit, $method, $tls, $private) = @_;
  my $c = Client->connect('127.0.0.1', $port{"$limit $method"}, timeout => Limits::of(25));
  if ($tls) {
    $c->auth_tls;
    $c->cmd('PROT C') unless $private;
  }
  in_step() unless $limit eq 'idle';
  $c->{start} = time;
  $c->login;
  $c->cmd('TYPE I');
  return $c;
}

sub begin {
  my ($c, $command, $private) = @_;
  my ($host, $port) = $c->pasv;
  my $data = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port,
    Sockopts => [[Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), pack 'i', 65536]]) or die "connect: $@";
  my ($code, $text) = $c->cmd($command);
  die "$command: $text" unless $code == 150;
  return $private ? $c->data_tls($data) : $data;
}

# Reads a download in a process of its own, moving all the time, in so many
# seconds.
sub slow_download {
  my ($c, $seconds) = @_;
  my $data = begin($c, 'RETR long');
  my $reader = fork // die "fork: $!";
  if ($reader == 0) {
    my ($start, $got) = (time, 0);
    while (my $more = sysread $data, my $bytes, 100_000) {
      $got += $more;
      my $early = $start + $seconds * $got / 40_000_000 - time;
      sleep $early if $early > 0;
    }
    POSIX::_exit(0);
  }
  return $reader;
}

# What the server says until it closes the connection, or one reply; and after
# how many seconds. What the methods write themselves is taken out, and a 226
# that was begun is one that was not given.
sub hears {
  my ($c, $since, $one) = @_;
  my $heard = '';
  while (1) {
    my $line = $c->line(Limits::of(30)) // "nothing for long\n";
    last if $line eq '';
    $heard .= $line =~ s/\377\361//gr =~ s/^226-Transferring\.*\r\n//r;
    last if $line =~ /^nothing/ or $one && $heard ne '';
  }
  my $seconds = time - $since;
  $heard .= delete $c->{buffer} unless $one;
  return ($heard =~ s/226-Transferring\.*//r =~ s/(?:\377\361)+//r =~ s/\r?\n/ | /gr, $seconds);
}

sub idles {
  my ($limit) = @_;
  return sub {
    my $c = session($limit, @_);
    in_step();
    $c->cmd('NOOP');
    return hears($c, time);
  };
}

# A transfer that is longer than the limit, and the silence after it.
sub idles_after {
  my ($limit) = @_;
  return sub {
    my $c = session($limit, @_);
    in_step();
    my $reader = slow_download($c, 1.6 * $OF_SESSION);
    my ($said) = hears($c, time, 1);
    my ($end, $seconds) = hears($c, time);
    waitpid $reader, 0;
    return ("$said then $end", $seconds);
  };
}

sub stalls {
  my ($limit, $command, $private) = @_;
  return sub {
    my $c = session($limit, @_, $private);
    in_step();
    my $data = begin($c, $command, $private);
    $command =~ /^STOR/ ? syswrite $data, 'x' x 1000 : sysread $data, my $some, 1000;
    return hears($c, time);
  };
}

sub moves {
  my ($limit) = @_;
  return sub {
    my $c = session($limit, @_);
    my $start = time;
    my $reader = slow_download($c, $LONG);
    my @heard = hears($c, $start, 1);
    waitpid $reader, 0;
    return @heard;
  };
}

my @scenarios = (
  ['TimeoutIdle, silent'                  => idles('idle')],
  ['TimeoutIdle, after a longer transfer' => idles_after('idle')],
  ['TimeoutNoTransfer, silent'            => idles('notrans')],
  ['TimeoutNoTransfer, after a longer transfer' => idles_after('notrans')],
  ['TimeoutSession, silent' => sub { my $c = session('session', @_); hears($c, $c->{start}) }],
  ['TimeoutSession, during a transfer' => sub {
    my $c = session('session', @_);
    my $reader = slow_download($c, 2 * $OF_SESSION);
    my @heard = hears($c, $c->{start});
    waitpid $reader, 0;
    return @heard;
  }],
  ['TimeoutStalled, download with sendfile'  => stalls('stalled', 'RETR big')],
  ['TimeoutStalled, download with sendfile, interval 3s' => stalls('seldom', 'RETR big')],
  ['TimeoutStalled, download without'        => stalls('buffered', 'RETR big')],
  ['TimeoutStalled, download over TLS'       => stalls('stalled', 'RETR big', 1)],
  ['TimeoutStalled, upload'                  => stalls('stalled', 'STOR up')],
  ['TimeoutStalled, upload over TLS'         => stalls('stalled', 'STOR up', 1)],
  ['TimeoutStalled, a longer transfer that moves, with sendfile' => moves('stalled')],
  ['TimeoutStalled, a longer transfer that moves, without'       => moves('buffered')],
  ['TimeoutStalled, no data connection' => sub {
    my $c = session('stalled', @_);
    $c->pasv;
    in_step();
    $c->send('RETR big');
    return hears($c, time);
  }],
);

# Stock starts TimeoutStalled anew whenever an alarm interrupts sendfile(2): it
# ends after three times the limit, here; where the limit is over five seconds
# never. The timer of the methods that write may make it end earlier.
sub ends_late { my ($name) = @_; return $name =~ /download with sendfile/ }

# All of it at the same time.
my @jobs;
for my $scenario (@scenarios) {
  my ($name, $code) = @$scenario;
  for my $kind (@kinds) {
    my ($method, $tls) = @$kind;
    next if $name =~ /over TLS/ and !$tls;
    sleep(0.05 * Limits::slowness());    # logins have limits as well
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
      my ($said, $seconds) = eval { $code->($method, $tls) };
      print $write join "\t", $seconds // -1, $said // "died: $@";
      close $write;
      POSIX::_exit(0);
    }
    close $write;
    push @jobs, [$name, $method, $tls, $pid, $read];
  }
}

my %stock;
for my $job (@jobs) {
  my ($name, $method, $tls, $pid, $read) = @$job;
  local $/;
  my ($seconds, $said) = split /\t/, <$read>;
  waitpid $pid, 0;
  my $what = "$name, " . ($tls ? 'TLS' : 'plain FTP');
  if ($method eq 'off') {
    $stock{$name, $tls} = [$seconds, $said];
    unlike($said, qr/^died|nothing/, sprintf '%s, engine off: ends after %.1f s, "%s"', $what, $seconds, $said);
    next;
  }
  my ($stock_seconds, $stock_said) = @{ $stock{$name, $tls} // [3 * $LIMIT, ''] };
  # A 226 that was begun cannot become a 421. With sendfile none is before
  # TimeoutSession.
  $stock_said = '' if $method eq 'reply' and $tls and $name =~ /during/;
  is($said, $stock_said, "$what, method $method: the same replies");
  # A limit that a keepalive starts anew ends later by $LIMIT at least.
  my $least = ends_late($name) ? $LIMIT : $stock_seconds - 1;
  ok($seconds >= $least && $seconds < $stock_seconds + 0.75 * $LIMIT,
    sprintf '... ends after %.1f s, with the engine off after %.1f s', $seconds, $stock_seconds);
}

done_testing;
