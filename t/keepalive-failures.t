#!/usr/bin/perl
# Transfers that fail after "method reply" has opened their final reply: no
# client may take that for a success. The session is terminated, the data
# connection is reset, the client stands still until TimeoutStalled, or the disk
# is full, at points throughout the transfer. A run without any failure shows
# that success would be seen.
#
# Nine clients and five points of each kind with LONG, else two and two.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use File::Path qw(make_path);
use Limits;
use List::Util qw(max min);
use POSIX ();
use RealClients;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

# A client that stands still is not to find the rest of the file in its socket.
system('sysctl', '-qw', 'net.ipv4.tcp_rmem=4096 65536 65536') == 0 or die 'sysctl';

# On a busy machine the strike is late as well, and the transfer is not to be over
# by then.
my $slow = max(1, min(4, Limits::slowness() / 2));
my $SECONDS = ($ENV{LONG} ? 16 : 9) * $slow;
my $SIZE = $ENV{LONG} ? 1_600_000 : 900_000;
my $RATE = $SIZE / $SECONDS / 1024;
my @clients = grep { !RealClients::unavailable($_) } $ENV{LONG} ? @RealClients::NAMES : qw(curl ftplib);
# Seconds into the transfer; the reply is open after one.
my @points = map { sprintf "%.1f", $_ * $slow } $ENV{LONG} ? (1.7, 3.5, 5.5, 7.5, 9.5) : (1.7, 4.5);
my $big = 'x' x $SIZE;

# What happens at the point; "disk" happens by itself.
my %happens = (
  none   => sub { },
  term   => sub { my ($server) = @_; kill 'TERM', $server->children },
  reset  => sub {
    my ($server, $first) = @_;
    my $last = $first + 99;
    system("ss -K -H state established '( dport >= :$first and dport <= :$last )' >/dev/null 2>&1");
  },
  stall  => sub {
    my ($server, $first, $clients) = @_;
    kill 'STOP', @$clients;
    # Stock ends a transfer that stalls early when it should have been over and
    # the limit has passed.
    sleep $SECONDS + 6;
    kill 'CONT', @$clients;
  },
);

my @mounted;
END { local $?; system('umount', '-l', $_) for @mounted }

my $next_port = 30_000;

sub server {
  my ($kind, $point) = @_;
  my $first = $next_port;
  $next_port += 100;
  my $server = Server->start(
    modules => ['mod_keepalive'],
    config  => <<"EOC",
KeepaliveEngine on
KeepaliveRule * interval 1s method reply
PassivePorts $first @{[$first + 99]}
TransferRate RETR,STOR $RATE
TimeoutStalled 3
SocketOptions sndbuf 65536
EOC
  );
  if ($kind eq 'disk') {
    # Full when the clients together are so far. Never so late that one of them
    # might be done, for then its success would be true.
    my $bytes = int @clients * $SIZE * 0.7 * $point / $SECONDS;
    system('mount', '-t', 'tmpfs', '-o', "size=$bytes,mode=0777", 'tmpfs', $server->home) == 0 or die 'no tmpfs';
    push @mounted, $server->home;
  }
  $server->file('big', text => $big) unless $kind eq 'disk';
  return ($server, $first);
}

# lftp connects again by itself and fetches what is missing, which is its right.
sub tried_again {
  my ($name, $result) = @_;
  my @connects = $result->{said} =~ /^---- Connecting to/mg;
  return $name eq 'lftp' && @connects > 1;
}

# The interactive ones end with 0 whatever happens; they show the reply.
sub reports_success {
  my ($name, $result) = @_;
  return $result->{said} =~ /^226 Transfer complete/m if $name =~ /^(tnftp|inetutils-ftp)$/;
  return $result->{status} eq '0';
}

my $root = File::Temp::tempdir('keepalive-failures-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# All clients at all points of these kinds, at the same time.
sub run_kinds {
  my (@kinds) = @_;
  my (@jobs, %held, %about);
  for my $kind (@kinds) {
    for my $point ($kind eq 'none' ? 0 : @points) {
      my ($server, $first) = server($kind, $point);
      push @{ $held{$kind} }, $server;
      my $way = $kind eq 'disk' ? 'put' : 'get';
      for my $name (grep { $way eq 'get' or $RealClients::CLIENTS{$_}{put} } @clients) {
        my $job = join '-', $kind, $point, $name =~ s/\W+/_/gr;
        make_path("$root/$job");
        my $file = $way eq 'put' ? "$job.big" : 'big';
        $server->write_file("$root/$job/$file", $big) if $way eq 'put';
        push @jobs, [$job, undef, "$root/$job",
          RealClients::script($name, host => '127.0.0.1', port => $server->port, $way => [$file])];
        $about{$job} = [$kind, $name, $point];
      }
      strike_later($kind, $point, $server, $first) if $happens{$kind};
    }
  }
  my %result = RealClients::together(45 * $slow + @jobs / 4, @jobs);
  judge($_->[0], $result{ $_->[0] }, @{ $about{ $_->[0] } }) for @jobs;
  for my $kind (grep { $_ ne 'none' } @kinds) {
    my @sent = map { ($_->ctl('keepalive', 'status'))[1] =~ /reply (\d+)/ } @{ $held{$kind} };
    is((grep { $_ == 0 } @sent), 0, "the replies were open when '$kind' struck: @sent keepalives");
  }
  system('umount', '-l', $_) for splice @mounted;
}

# Strikes when the transfers of this server are so far.
sub strike_later {
  my ($kind, $point, $server, $first) = @_;
  my $striker = fork // die "fork: $!";
  return if $striker;
  my $mine = qr{/\Q$kind-$point\E-};
  Net::wait_for(sub { $server->children >= @clients }, 10);
  sleep $point;
  my @pids = grep { (readlink("/proc/$_/cwd") // '') =~ $mine } map { m{(\d+)$} } glob '/proc/[0-9]*';
  $happens{$kind}->($server, $first, \@pids);
  POSIX::_exit(0);
}

sub judge {
  my ($job, $result, $kind, $name, $point) = @_;
  my $success = reports_success($name, $result);
  if ($kind eq 'none') {
    ok($success, "$name, nothing fails: it reports success") or diag substr $result->{said}, -800;
    return;
  }
  if (tried_again($name, $result)) {
    my ($first) = $result->{said} =~ /\A(.*?^---- Connecting to.*?)^---- Connecting to/ms;
    unlike($first, qr/^<--- 226 Transfer complete/m, "$name, $kind after $point of $SECONDS s: no success, and connects again by itself");
    return;
  }
  ok(!$success, sprintf '%s, %s after %.1f of %d s: no success (%s)', $name, $kind, $point, $SECONDS,
    $result->{status} eq 'killed' ? 'hung and was killed' : 'status ' . ($result->{status} >> 8))
    or diag substr $result->{said}, -800;
  unlike($result->{said}, qr/^(?:[<*]+ )?226 Transfer complete/m, '... and saw no 226');
}

if ($ENV{LONG}) {
  run_kinds($_) for qw(none term reset stall disk);
} else {
  run_kinds(qw(none term reset stall disk));
}

done_testing;
