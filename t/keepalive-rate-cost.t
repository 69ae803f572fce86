#!/usr/bin/perl
# TransferRate with a keepalive every second and with a deadline takes as long
# as with the engine off: ProFTPD's pause is one select(2), which any signal
# ends for good. Down and up, FTP and FTPS, those of one rate at the same time.
#
# ProFTPD pauses once for each time that it has read, and its own alarm ends a
# pause after five seconds. So an upload takes the longer the more reads it is
# cut into, which chance decides, unless each read is worth less than that: here
# a chunk is sent when ProFTPD has read the one before, and while it pauses: a
# quarter of the pause is time enough to look.
#
# All rates and methods with LONG, else those that showed it most.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use List::Util qw(min);
use POSIX ();
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

# Rate in KB/s => bytes, and those of a chunk, which is one read, of one TLS
# record, and worth 3.2 s at most.
my %bytes = (4 => 48_000, $ENV{LONG} ? (20 => 400_000, 200 => 4_000_000) : ());
my %chunk = (4 => 13_000, 20 => 16_000, 200 => 65_000);

my %rule = (
  off      => undef,
  deadline => '* interval 60s deadline 2m',
  reply    => '* interval 1s method reply',
  auto     => '* interval 1s deadline 1m',
  $ENV{LONG} ? (tcp => '* interval 1s method tcp', tls => '* interval 1s method tls',
    telnet => '* interval 1s method telnet', none => '* interval 1s method none') : (),
);
my %port = map { my $rate = $_; map { ("$rate $_" => Net::free_port('127.0.0.1')) } keys %rule } keys %bytes;

my $server = Server->start(
  modules => [qw(mod_tls mod_keepalive)],
  config  => sub {
    my ($self) = @_;
    my $tls = Server::tls();
    return join '', map {
      my ($rate, $name) = split;
      my $engine = defined $rule{$name} ? "on\nKeepaliveRule $rule{$name}" : 'off';
      <<"EOC";
<VirtualHost 127.0.0.1>
Port $port{$_}
AuthOrder mod_auth_file.c
AuthUserFile $self->{dir}/passwd
RequireValidShell off
AllowOverwrite on
TransferRate RETR,STOR $rate
KeepaliveEngine $engine
$tls</VirtualHost>
EOC
    } sort keys %port;
  },
);
$server->file("file.$_", text => 'x' x $bytes{$_}) for keys %bytes;

# The client takes the Telnet commands out of what it reads.
{
  no warnings 'redefine';
  my $line = \&Client::line;
  *Client::line = sub { my $text = $line->(@_); return defined $text ? $text =~ s/\377\361//gr : undef };
}

# Whether the server has read all that came from this port of ours.
sub is_read {
  my ($port) = @_;
  my $peer = sprintf ':%04X', $port;
  return scalar grep { $_->[2] =~ /$peer$/ && $_->[4] =~ /:0+$/ }
    map { [split] } split /\n/, Server::slurp('/proc/net/tcp');
}

# Seconds from when the data connection is ready to the final reply, or a text
# that says what went wrong.
sub transfer {
  my ($rate, $name, $way, $tls) = @_;
  my $c = Client->connect('127.0.0.1', $port{"$rate $name"}, timeout => 60);
  $c->auth_tls if $tls;
  $c->login;
  $c->cmd('TYPE I');
  my $data = $c->data($c->pasv) or die "no data connection: $@";
  my ($code, $text) = $c->cmd($way eq 'RETR' ? "RETR file.$rate" : "STOR up.$rate.$name.$tls");
  die "$way: $text" unless $code == 150;
  $data = $c->data_tls($data) or die 'no TLS on the data connection';

  my $start = time;
  if ($way eq 'RETR') {
    1 while sysread $data, my $some, 1 << 16;
  } else {
    my $chunk = $tls ? min($chunk{$rate}, 16_000) : $chunk{$rate};
    for (my $left = $bytes{$rate}; $left > 0; $left -= $chunk) {
      syswrite $data, 'x' x min($left, $chunk);
      sleep $chunk / $rate / 4096 until is_read($data->sockport);
    }
  }
  close $data;
  ($code, $text) = $c->reply;
  return $text =~ /^226 Transfer complete/m ? time - $start : "$text";
}

# All of one rate, at the same time.
sub start {
  my ($rate) = @_;
  my @jobs;
  for my $name (sort { ($b eq 'off') <=> ($a eq 'off') || $a cmp $b } keys %rule) {
    for my $way (qw(RETR STOR)) {
      for my $tls (0, 1) {
        next if $name eq 'telnet' and $tls;
        pipe my $read, my $write or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
          print $write eval { transfer($rate, $name, $way, $tls) } // "died: $@";
          close $write;
          POSIX::_exit(0);
        }
        close $write;
        push @jobs, [$rate, $name, $way, $tls, $pid, $read];
      }
    }
  }
  return @jobs;
}

my %stock;
sub finish {
  my ($rate, $name, $way, $tls, $pid, $read) = @_;
  my $seconds = <$read>;
  waitpid $pid, 0;
  my $what = "$way of $bytes{$rate} bytes at $rate KB/s over " . ($tls ? 'FTPS' : 'FTP');
  if ($seconds !~ /^[\d.]+$/) {
    fail("$what, $name: the transfer ends well");
    diag $seconds;
    return;
  }
  my $stock = $stock{$rate, $way, $tls} //= $seconds;
  ok(abs($seconds - $stock) <= 0.02 * $stock, sprintf '%s, %s: %.2f s, with the engine off %.2f s', $what,
    $rule{$name} // 'engine off', $seconds, $stock);
}

for my $rate (sort keys %bytes) {
  finish(@$_) for start($rate);
}

# What ProFTPD says when its pause is ended early.
unlike($server->log, qr/unable to throttle/, 'no signal has ended a pause');

done_testing;
