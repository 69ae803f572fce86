#!/usr/bin/perl
# Sessions that change while they are kept alive: CCC and AUTH TLS in the
# middle, active mode, the module unloaded, ServerType inetd.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::SSL ();
use POSIX ();
use Scenarios;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my @methods = qw(auto tcp tls reply telnet);
my $SECONDS = 3;
my $RATE = 100_000;

# One virtual host a method.
my %port = map { $_ => Net::free_port('127.0.0.1') } @methods;

my $TLS = Server::tls(options => 'NoSessionReuseRequired AllowPerUser');
my $COMMON = "KeepaliveEngine on\nTransferRate RETR,STOR @{[$RATE / 1024]}\n$TLS";

sub config {
  my ($self) = @_;
  return <<"EOC";
ModuleControlsACLs insmod,lsmod,rmmod allow user root
LogFormat keepalive "%m %{note:mod_keepalive.method} %{note:mod_keepalive.sent}"
ExtendedLog $self->{dir}/transfers READ,WRITE keepalive
KeepaliveRule * interval 1s
$COMMON
EOC
}

sub with_hosts {
  my ($self) = @_;
  return config($self) . join '', map { <<"EOC" } @methods;
<VirtualHost 127.0.0.1>
Port $port{$_}
AuthOrder mod_auth_file.c
AuthUserFile $self->{dir}/passwd
RequireValidShell off
AllowOverwrite on
ExtendedLog $self->{dir}/transfers.$_ READ,WRITE keepalive
KeepaliveRule * interval 1s method $_
$COMMON</VirtualHost>
EOC
}

my $server = Server->start(modules => [qw(mod_tls mod_keepalive)], config => \&with_hosts);
my $dir = $server->dir;

sub session { my ($method) = @_; return Client->connect('127.0.0.1', $port{$method}) }

# Sends an active-mode command and a transfer; returns the reply and the bytes.
sub active {
  my ($c, $eprt, $command, $bytes) = @_;
  my $listen = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die "listen: $@";
  my $port = $listen->sockport;
  my ($code, $text) = $c->cmd($eprt ? "EPRT |1|127.0.0.1|$port|" : sprintf 'PORT 127,0,0,1,%d,%d', $port >> 8, $port & 255);
  die $text unless $code == 200;
  $c->send($command);
  my $data = $listen->accept;
  if ($c->{tls}) {
    $c->reply;
    $data = $c->data_tls($data);
  }
  if (defined $bytes) {
    for (my $at = 0; $at < length $bytes; sleep 0.1) {
      $at += syswrite($data, $bytes, 10_000, $at) // die "write: $!";
    }
    if ($c->{tls}) { $data->blocking(0); sysread $data, my $tickets, 1 for 1 .. 4 }
  } else {
    $bytes = '';
    1 while sysread $data, $bytes, 1 << 16, length $bytes;
  }
  close $data;
  return $bytes;
}

# The final reply, whatever the method did to it.
sub ended {
  my ($c) = @_;
  my $text = '';
  my $end = time + 15;
  while (defined(my $line = $c->line($end - time))) {
    last if $line eq '';
    $text .= $line =~ s/\377\361//gr;
    last if $text =~ /^\d{3} [^\n]*\n\z/m and $text !~ /^150 [^\n]*\n\z/;
  }
  return $text;
}

sub log_of { my ($method) = @_; return Server::slurp("$dir/transfers.$method") }

my @scenarios;
for my $method (@methods) {
  for my $tls (0, 1) {
    next if $method eq 'telnet' and $tls;    # in front of a reply this client does not read it
    for my $eprt (0, 1) {
      my $over = ($tls ? 'TLS' : 'plain FTP') . ', ' . ($eprt ? 'EPRT' : 'PORT') . ", method $method";
      push @scenarios, ["$over, down", sub {
        my $c = session($method);
        $c->auth_tls if $tls;
        $c->login;
        $c->cmd('TYPE I');
        my $bytes = active($c, $eprt, 'RETR three');
        Scenarios::check(length $bytes == $RATE * $SECONDS, 'all bytes come', length $bytes);
        my $text = ended($c);
        Scenarios::check($text =~ /^226 Transfer complete\r\n\z/m, '... and the 226', $text);
      }];
      push @scenarios, ["$over, up", sub {
        my $c = session($method);
        $c->auth_tls if $tls;
        $c->login;
        $c->cmd('TYPE I');
        my $name = "up.$method.$tls.$eprt";
        active($c, $eprt, "STOR $name", 'x' x ($RATE * $SECONDS));
        my $text = ended($c);
        Scenarios::check($text =~ /^226 Transfer complete\r\n\z/m, 'the 226 comes', $text);
        Scenarios::check((-s $server->home . "/$name") == $RATE * $SECONDS, '... and all bytes came');
      }] if $ENV{LONG} or !$eprt;
    }
  }
}

# After CCC the control connection is in clear: no ticket may come, which would
# be the bytes 0x16 or 0x17 in front of a line.
for my $method (qw(auto tls)) {
  push @scenarios, ["CCC, method $method", sub {
    local $SIG{ALRM} = sub { die 'hangs' };
    alarm int Limits::of(8);
    my $c = session($method);
    $c->auth_tls->login;
    $c->cmd('TYPE I');
    my ($code, $text) = $c->retr('quick');
    Scenarios::check($code == 226, 'a transfer over TLS', $text);
    ($code, $text) = $c->cmd('CCC');
    Scenarios::check($code == 200, 'CCC is taken', $text);
    $c->{socket}->stop_SSL or die 'no end of TLS';
    bless $c->{socket}, 'IO::Socket::IP';
    my ($host, $port) = $c->pasv;
    my $data = $c->data($host, $port);
    $c->send('RETR three');
    my $first = $c->line;
    $data = IO::Socket::SSL->start_SSL($data, SSL_verify_mode => 0) or die 'TLS on the data connection';
    1 while sysread $data, my $bytes, 1 << 16;
    close $data;
    my $all = $first . ended($c);
    Scenarios::check(scalar($all =~ /\A150 [ -~]*\r\n226 [ -~]*\r\n\z/), '... then a transfer with nothing but its replies', $all =~ s/([^ -~\r\n])/sprintf '<%02x>', ord $1/ger);
    Scenarios::check(($c->cmd('NOOP'))[0] == 200, '... and the session goes on');
  }];
  push @scenarios, ["AUTH TLS in the middle, method $method", sub {
    my $c = session($method)->login;
    $c->cmd('TYPE I');
    Scenarios::check(($c->retr('quick'))[0] == 226, 'a transfer on plain FTP');
    $c->auth_tls;
    Scenarios::check(($c->retr('three'))[0] == 226, '... then one over TLS');
    Scenarios::check(($c->cmd('NOOP'))[0] == 200, '... and the session goes on');
  }] if $method eq 'auto';
}

# The module goes while a session is in transfer, and comes back.
my $other = Server->start(modules => [qw(mod_tls mod_keepalive)], config => \&config);
push @scenarios, ['unloaded and loaded again', sub {
  my $said = sub { ($other->ctl(@_))[1] };
  my $new = sub {
    my $c = Client->connect('127.0.0.1', $other->port)->auth_tls->login;
    $c->cmd('TYPE I');
    return $c;
  };
  my $c = $new->();
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  $c->cmd('RETR three');
  $data = $c->data_tls($data);
  my $gone = $said->('rmmod', 'mod_keepalive.c');
  Scenarios::check($gone =~ /unloaded/ && $said->('lsmod') !~ /keepalive/, 'ftpdctl rmmod mod_keepalive.c', $gone);
  Scenarios::check($said->('keepalive', 'status') !~ /in transfer/, '... and its control is gone');
  1 while sysread $data, my $bytes, 1 << 16;
  close $data;
  Scenarios::check(($c->reply)[0] == 226, 'a transfer that was under way ends well');
  Scenarios::check(($c->retr('quick'))[0] == 226, '... and so does the next of that session');
  $c->quit;
  Scenarios::check(($new->()->retr('quick'))[0] == 226, 'a new session has transfers without the module');

  my $back = $said->('insmod', 'mod_keepalive.c');
  Scenarios::check($back =~ /loaded/, 'ftpdctl insmod mod_keepalive.c', $back);
  $other->hup;
  Scenarios::check(Net::wait_for(sub { $said->('keepalive', 'status') =~ /in transfer/ }, 10), '... and its control is back');
  Scenarios::check(($new->()->retr('three'))[0] == 226, '... new sessions have transfers');
  my ($last) = reverse split /\n/, Server::slurp($other->dir . '/transfers');
  Scenarios::check($last =~ /^RETR tcp\+tls [23]$/, '... that are kept alive', $last);
  my $log = $other->stderr . $other->log;
  Scenarios::check($log !~ /signal 11|abnormal|keepalive.*cannot/, 'and nothing broke', $log);
}];

# TLSRenegotiate asks for new keys during a transfer: tickets go on, in the next
# one too, and a client that reads its control connection may answer at once.
my $renegotiating = Server->start(
  modules => [qw(mod_tls mod_keepalive)],
  config  => sub { config($_[0]) . "TLSRenegotiate ctrl 3 timeout 300 required off\n" },
);
$renegotiating->file('five', size => 5 * $RATE);

# A download by such a client: how many bytes came.
sub polled {
  my ($c, $file, $reads) = @_;
  my $data = $c->data($c->pasv);
  $c->cmd("RETR $file");
  $data = $c->data_tls($data);
  $_->blocking(0) for $data, $c->{socket};
  my ($got, $end) = (0, time + 60);
  while (time < $end) {
    my $more = sysread $data, my $bytes, 1 << 16;
    last if defined $more && $more == 0;
    $more ? $got += $more : sleep 0.02;
    $c->{socket}->peek(my $nothing, 1) if $reads;
  }
  $c->{socket}->blocking(1);
  close $data;
  return $got;
}

for my $reads (0, 1) {
  push @scenarios, ['key updates, a client that ' . ($reads ? 'reads' : 'does not read') . ' its control connection', sub {
    my $c = Client->connect('127.0.0.1', $renegotiating->port)->auth_tls(SSL_version => 'TLSv1_3')->login;
    $c->cmd('TYPE I');
    for my $which ('a transfer', 'one after it') {
      my $got = polled($c, 'five', $reads);
      Scenarios::check($got == 5 * $RATE, "$which: all bytes come", $got);
      Scenarios::check(($c->reply)[0] == 226, '... and the 226');
      Scenarios::check(($c->cmd('PWD'))[0] == 257, '... and the session goes on');
    }
    my @sent = Server::slurp($renegotiating->dir . '/transfers') =~ /^RETR tcp\+tls (\d+)$/mg;
    Scenarios::check(@sent >= 2 && !(grep { $_ < 3 } @sent), '... and tickets were sent to the end of both', "@sent");
  }];
}

# Every session is a daemon of its own.
my $inetd = Server->new(modules => [qw(mod_tls mod_keepalive)], config => sub { config($_[0]) . "ServerType inetd\n" });
my $listen = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $inetd->port, Listen => 5, ReuseAddr => 1) or die $@;
my $super = fork // die "fork: $!";
if ($super == 0) {
  $SIG{CHLD} = 'IGNORE';
  $SIG{TERM} = 'DEFAULT';
  %ENV = (%ENV, $inetd->environment);
  while (1) {
    my $client = $listen->accept or next;
    next if fork;
    $SIG{CHLD} = 'DEFAULT';
    POSIX::dup2(fileno $client, $_) for 0, 1;
    open STDERR, '>>', $inetd->dir . '/stderr';
    exec $inetd->command or POSIX::_exit(127);
  }
}
close $listen;
END { local $?; kill 'TERM', $super and waitpid $super, 0 if $super }
push @scenarios, ['ServerType inetd', sub {
  for my $tls (0, 1) {
    my $c = Client->connect('127.0.0.1', $inetd->port);
    $c->auth_tls if $tls;
    $c->login;
    $c->cmd('TYPE I');
    my $over = $tls ? 'TLS' : 'plain FTP';
    Scenarios::check(($c->retr('three'))[0] == 226, "$over: a download ends well");
    Scenarios::check(($c->stor("up$tls", 'x' x 1000))[0] == 226, '... and an upload') unless $tls;
    Scenarios::check(($c->quit)[0] == 221, '... and the session');
  }
  my $log = Server::slurp($inetd->dir . '/transfers');
  Scenarios::check($log =~ /^RETR tcp 0\n.*^RETR tcp\+tls [23]$/ms, 'they are kept alive as ever', $log);
  Scenarios::check($inetd->stderr !~ /keepalive/, '... and there is nothing to complain about', $inetd->stderr);
}];

$_->file('three', size => $RATE * $SECONDS) and $_->file('quick', text => 'quick') for $server, $other, $inetd;
Scenarios::run(40, @scenarios);

for my $method (grep { $_ ne 'tcp' and $_ ne 'auto' } @methods) {
  like(log_of($method), qr/^RETR $method [23]$/m, "method $method: what is kept alive in active mode, by its log");
}
my @auto = log_of('auto') =~ /^(RETR \S+ \d+)$/mg;
ok((grep { /tcp\+tls [23]/ } @auto), 'method auto: tickets with TLS');
ok((grep { $_ eq 'RETR tcp 0' } @auto), '... and none without');
my @tls = log_of('tls') =~ /^RETR (\S+) \d+$/mg;
ok((grep { $_ eq 'tcp' } @tls), 'method tls: tcp after CCC');

done_testing;
