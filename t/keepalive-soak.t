#!/usr/bin/perl
# Many sessions in long transfers with a keepalive every second, NOOP and ABOR
# sprinkled in: every sequence of replies is the one of stock ProFTPD, compared
# line by line with a server that has the engine off.
#
# 200 sessions of 30 s with LONG, else 24 of 6 s; half of them with the sanitizers.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use POSIX ();
use Scenarios;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my ($SESSIONS, $SECONDS) = $ENV{LONG} ? (200, 30) : ($ENV{SANITIZE} ? 12 : 24, 6);
my $RATE = 20_000;

sub server {
  my ($engine) = @_;
  my $server = Server->start(
    modules => [qw(mod_tls mod_keepalive)],
    config  => Server::tls() . <<"EOC",
KeepaliveEngine $engine
KeepaliveRule * interval 1s
TransferRate RETR,STOR @{[$RATE / 1024]}
TimeoutLinger 1
EOC
  );
  $server->file('long', size => $RATE * $SECONDS);
  $server->file('short', text => 'short');
  return $server;
}

# What a client does in a session and the replies that it sees; the same number
# makes the same session.
sub session {
  my ($server, $number) = @_;
  my $tls = (undef, '1.2', '1.3', '1.3')[$number % 4];
  my $way = (qw(RETR STOR RETR ABOR RETR STOR))[$number % 6];
  $way = 'RETR' if $way eq 'ABOR' and $tls;    # stock answers it in any order
  my @said;
  my $hear = sub { my ($code, $text) = @_; push @said, $text // 'nothing came'; return $code };
  my $c = Client->connect('127.0.0.1', $server->port, timeout => 60 + $SECONDS);
  $c->auth_tls($tls eq '1.2' ? (SSL_version => 'TLSv1_2') : ()) if $tls;
  $c->login;
  $hear->($c->cmd('TYPE I'));
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  my $name = $way eq 'STOR' ? "up$number" : 'long';
  $hear->($c->cmd($way eq 'STOR' ? "STOR $name" : "RETR $name"));
  $data = $c->data_tls($data);
  my $start = time;
  if ($way eq 'ABOR') {
    sysread $data, my $some, 1000;
    sleep 2.4;
    $hear->($c->cmd('ABOR'));
    close $data;
    $hear->($c->reply);
  } else {
    my $pid = fork // die;
    if ($pid == 0) {
      if ($way eq 'STOR') {
        syswrite $data, 'x' x $RATE and sleep 1 for 1 .. $SECONDS;
        if ($tls) { $data->blocking(0); sysread $data, my $tickets, 1 for 1 .. 4; $data->close }
      } else {
        1 while sysread $data, my $bytes, 65536;
      }
      POSIX::_exit(0);
    }
    $tls ? $data->close(SSL_no_shutdown => 1) : close $data;
    sleep 1 + $number % 3;
    $c->send('NOOP') if $number % 2;
    waitpid $pid, 0;
    $hear->($c->reply) for 1 .. 1 + $number % 2;
  }
  $hear->(($c->retr('short'))[0, 1]);
  $hear->($c->cmd('NOOP'));
  $hear->($c->cmd('QUIT'));
  return join "\n", map { s/\bup\d+\b/up/r } @said;
}

sub all {
  my ($server, $count) = @_;
  my @running;
  for my $number (0 .. $count - 1) {
    pipe my $read, my $write or die;
    my $pid = fork // die;
    if ($pid == 0) {
      close $read;
      my $said = eval { session($server, $number) } // "died: $@";
      print $write $said;
      close $write;
      POSIX::_exit(0);
    }
    close $write;
    push @running, [$pid, $read];
    sleep 0.02;
  }
  return map { my ($pid, $read) = @$_; local $/; my $said = <$read>; waitpid $pid, 0; $said } @running;
}

my ($off, $on) = (server('off'), server('on'));
my $kinds = 12;    # sessions repeat after so many
my @stock = all($off, $kinds);
my @ours = all($on, $SESSIONS);

is((grep { /died|nothing came/ } @stock), 0, 'the sessions work on a server with the engine off') or diag join "\n--\n", @stock;
my @different = grep { $ours[$_] ne $stock[$_ % $kinds] } 0 .. $#ours;
is(scalar(@different), 0, "$SESSIONS sessions of $SECONDS s with a keepalive every second: every reply is the stock one");
diag "session $_:\n$ours[$_]\nstock:\n$stock[$_ % $kinds]" for grep { defined } @different[0 .. 2];

my (undef, $status) = $on->ctl('keepalive', 'status');
my ($tickets) = $status =~ /tls (\d+)/;
cmp_ok($tickets, '>', $SESSIONS / 2 * ($SECONDS - 3) / 2, "... and $tickets tickets were sent");
like($status, qr/^0 of \d+ sessions? in transfer/, 'nobody is left in the table');
# That all clients have one address is so here, and said.
my $said = ($on->stderr . $on->log) =~ s/^.*: all clients have one address: .*\n//mgr;
unlike($said, qr/alert|unexpected OpenSSL|signal 11|keepalive(?!\S* in force )/i, 'the log has no TLS alert and no complaint');
ok(Net::wait_for(sub { !$on->children }, 10), 'no session is left over');

done_testing;
