#!/usr/bin/perl
# The TCP options of the control connection as the kernel has them: what a rule
# sets after the login, once, for the whole session; who gets which rule; and
# that HOST puts back what was there.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Select;
use Server;
use SocketOf;
use Stock;
use Test::More;
use Time::HiRes qw(time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

# SO_KEEPALIVE, idle, between, count, user timeout.
my $OPTIONS = 'SocketOptions keepalive 1234:5:77';
my $STOCK = SocketOf::stock($OPTIONS);
my $PROBES = '1 100 100 9 0';

my $server = Server->start(
  modules => [qw(mod_tls mod_copy mod_digest mod_ifsession mod_keepalive)],
  config  => sub {
    my ($self) = @_;
    my $more = join '', map { Server::slurp("$self->{dir}/passwd") =~ s/^ftp:/$_:/r } qw(slow never);
    $self->write_file('passwd', Server::slurp("$self->{dir}/passwd") . $more, 0640);
    return Server::tls() . <<"EOC";
$OPTIONS
TimeoutLinger 1
KeepaliveEngine on
LogFormat keepalive "%m %{note:mod_keepalive.method} %{note:mod_keepalive.sent}"
ExtendedLog $self->{dir}/transfers READ,WRITE,DIRS keepalive
TransferRate RETR,STOR 200
<Class lan>
  From 127.0.0.2/32
</Class>
<Class partners>
  From 127.0.0.3/32
</Class>
<Global>
  KeepaliveRule partners interval 30s method none
</Global>
KeepaliveRule * interval 100s
KeepaliveRule lan interval 20s method tcp
<IfUser slow>
  KeepaliveRule * interval 200s method tcp
</IfUser>
<IfUser never>
  KeepaliveRule lan interval 40s
  KeepaliveRule * interval 1s method none
</IfUser>
<VirtualHost $self->{bind}>
  Port $self->{port}
  ServerAlias other.example
  ServerName other
  AuthOrder mod_auth_file.c
  AuthUserFile $self->{dir}/passwd
  $OPTIONS
  KeepaliveEngine on
  KeepaliveRule * interval 50s method tcp
  TransferRate RETR 200
</VirtualHost>
<VirtualHost $self->{bind}>
  Port $self->{port}
  ServerAlias off.example
  ServerName off
  AuthOrder mod_auth_file.c
  AuthUserFile $self->{dir}/passwd
  $OPTIONS
  TransferRate RETR 200
</VirtualHost>
<VirtualHost $self->{bind}>
  Port $self->{port}
  ServerAlias default.example
  ServerName default
  AuthOrder mod_auth_file.c
  AuthUserFile $self->{dir}/passwd
  KeepaliveEngine on
  TransferRate RETR 200
</VirtualHost>
<VirtualHost $self->{bind}>
  Port $self->{port}
  ServerAlias deadline.example
  ServerName deadline
  AuthOrder mod_auth_file.c
  AuthUserFile $self->{dir}/passwd
  KeepaliveEngine on
  KeepaliveRule * interval 30s deadline 3m
  TransferRate RETR 200
</VirtualHost>
EOC
  },
);
$server->file('big', size => 3_000_000);
$server->file('some', size => 150_000);
$server->file('tiny', text => 'quick');
$server->file('huge', size => 1 << 29);

# A session and the socket on its side.
sub session {
  my (%opt) = @_;
  my $c = Client->connect('127.0.0.1', $server->port, from => $opt{from} // '127.0.0.1');
  $c->{seen} = SocketOf::control($c->{socket}->sockport, $server->children);
  $c->cmd("HOST $opt{host}") if $opt{host};
  $c->auth_tls if $opt{tls};
  $c->login($opt{user} // 'ftp');
  $c->cmd('TYPE I');
  return $c;
}

sub now { SocketOf::options($_[0]{seen}) }

# All that the options are until something can be read, or for as long as this.
sub until_reply {
  my ($c, $seconds) = @_;
  my $end = time + $seconds;
  my %seen;
  do { $seen{ now($c) } = 1 } until IO::Select->new($c->{socket})->can_read(0.02) or time > $end;
  return join ', ', sort keys %seen;
}

# A transfer that is under way: its data connection.
sub transfer {
  my ($c, $command) = @_;
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  my ($code) = $c->cmd($command);
  die "$command: $code" unless $code == 150;
  $data = $c->data_tls($data);
  return $data;
}

sub becomes {
  my ($c, $want, $what) = @_;
  Net::wait_for(sub { now($c) eq $want }, 5);
  is(now($c), $want, $what);
}

sub governed {
  my ($want, $what, %opt) = @_;
  my $c = session(%opt);
  is(now($c), $want, $what);
  my $data = transfer($c, 'RETR some');
  1 while sysread $data, my $bytes, 65536;
  close $data;
  ok(($c->reply)[0], '... a transfer ends');
  becomes($c, $want, '... and it is the same');
  $c->quit;
}

{
  my $c = Client->connect('127.0.0.1', $server->port);
  $c->{seen} = SocketOf::control($c->{socket}->sockport, $server->children);
  is(now($c), $STOCK, 'before the login the options are those of SocketOptions');
  $c->login;
  is(now($c), $PROBES, 'after it a probe follows 100 s of silence');
  $c->cmd('TYPE I');

  for my $way ('RETR big', 'STOR new', 'APPE new') {
    my $data = transfer($c, $way);
    like(now($c), qr/^1 (?:100|[1-9]\d?) (?:100|[1-9]\d?) \d+ 0$/, "$way: there are probes, at most 100 s apart");
    close $data;
    $c->reply;
    becomes($c, $PROBES, '... and the same as before when it has ended');
  }

  my $data = transfer($c, 'RETR big');
  my $replies = $c->abort($data);
  like($replies, qr/^(?:426 226|226 426)$/, 'ABOR ends a transfer');
  is($replies, Stock::abort(), '... with the replies of stock, in their order');
  becomes($c, $PROBES, '... and all is as before');

  $data = transfer($c, 'RETR big');
  setsockopt $data, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
  close $data;
  like(($c->reply)[0], qr/^4/, 'a data connection that is reset ends a transfer');
  becomes($c, $PROBES, '... and all is as before');

  # Commands that are silent for long, those of no list as well.
  my ($host, $port) = $c->pasv;
  for my $silent ('RETR big', 'XMD5 huge', 'SITE CPFR huge', 'SITE CPTO copy', 'RNFR copy', 'RNTO other', 'NOOP') {
    $c->send($silent);
    is(until_reply($c, $silent =~ /^RETR/ ? 0.5 : 60), $PROBES, "$silent: there are probes until the reply");
    if ($silent =~ /^RETR/) {
      close $c->data($host, $port);
      $c->reply;
    }
    $c->reply(60);
  }
  unlink $server->home . '/other';
  is(($c->quit)[0], 221, 'the session ends in the usual way');
}

governed('1 100 100 9 0', 'a client of no class has the rule for all');
governed('1 20 20 45 0', 'a class has its rule', from => '127.0.0.2');
governed('1 100 100 9 0', 'a rule in <Global> yields to one of the server', from => '127.0.0.3');
governed('1 200 200 9 0', 'a rule in <IfUser> comes before the server\'s', user => 'slow', from => '127.0.0.2');
governed('1 40 40 22 0', '... also by class', user => 'never', from => '127.0.0.2');
governed($STOCK, '... and method none sets nothing', user => 'never');
governed('1 50 50 18 0', 'HOST leads to the rule of the named server', host => 'other.example');
governed('1 100 100 9 0', 'over TLS it is the same', tls => 1);
governed('1 25 25 36 0', 'no rule: a probe after 25 s', host => 'default.example');
governed($STOCK, 'HOST to a server with the engine off: nothing is set', host => 'off.example');
governed('1 30 30 5 179500', 'with a deadline TCP gives up a client that is silent for so long',
  host => 'deadline.example');

# The 150 of a short transfer is not acknowledged yet when the transfer ends.
{
  my $c = session(host => 'deadline.example');
  for my $number (1 .. 3) {
    my $data = transfer($c, 'RETR tiny');
    1 while sysread $data, my $bytes, 65536;
    close $data;
    $c->reply;
    becomes($c, '1 30 30 5 179500', "... also after short transfer $number");
  }
  $c->quit;
}

my @log = split /\n/, Server::slurp("$server->{dir}/transfers");
ok((grep { $_ eq 'RETR tcp 0' } @log), 'LogFormat has the method: tcp on plain FTP');
ok((grep { /^RETR tcp\+tls \d+$/ } @log), '... tcp+tls on TLS 1.3');
ok((grep { $_ eq 'RETR none 0' } @log), '... and none');
unlike($server->log, qr/mod_keepalive(?!\S* in force )/, 'the log has nothing to say about any of it');

done_testing;
