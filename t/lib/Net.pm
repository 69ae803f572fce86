package Net;

# Network namespaces for tests: a private one for the test itself, and running
# code or commands inside a named one.  "use Net 'private'" at the top of a
# test makes every address in 127.0.0.0/8 and every port its own.

use strict;
use warnings;
use Fcntl ();
use File::Temp ();
use IO::Socket::IP;
use Limits;
use List::Util qw(max min);
use Time::HiRes qw(sleep time);

use constant { CLONE_NEWNET => 0x40000000, CLONE_NEWNS => 0x00020000 };

my $private;

sub import {
  my ($class, @wishes) = @_;
  private() if grep { $_ eq 'private' } @wishes;
}

sub number {
  my ($call) = @_;
  no strict 'refs';
  eval { require 'syscall.ph' } or return;    # h2ph'ed, part of Debian's perl
  return eval { &{"main::SYS_$call"}() } // eval { &{"Net::SYS_$call"}() };
}

# Moves this process into a new network namespace with only loopback.
sub private {
  return 1 if $private;
  return 0 unless $> == 0 and my $unshare = number('unshare');
  return 0 if syscall($unshare, CLONE_NEWNET) != 0;
  system('ip link set lo up') == 0 or die "no loopback in the namespace";
  return $private = 1;
}

# Mounts from now on are for this process and what it starts alone.
sub own_mounts {
  my $unshare = number('unshare') or die 'this perl does not know unshare(2)';
  syscall($unshare, CLONE_NEWNS) == 0 or die "unshare: $!";
  system('mount', '--make-rprivate', '/') == 0 or die 'no mount namespace of its own';
}

# Gives this process, and what it starts, a resolv.conf with one name server.
sub resolver {
  my ($address) = @_;
  my ($file, $path) = File::Temp::tempfile('resolv-XXXXXX', TMPDIR => 1);
  print $file "nameserver $address\n";
  chmod 0644, $file;
  close $file;
  own_mounts();
  system('mount', '--bind', $path, '/etc/resolv.conf') == 0 or die "cannot mount over /etc/resolv.conf";
  unlink $path;    # the mount keeps it
}

# The reason why this machine cannot have named namespaces, or nothing.
sub unavailable {
  return 'network namespaces need root' if $> != 0;
  return 'ip (Debian package iproute2) is missing' if !-x '/sbin/ip' && !-x '/usr/sbin/ip' && !-x '/bin/ip';
  my $name = "probe-$$";
  my $said = `ip netns add $name 2>&1`;
  return "network namespaces are not allowed here: $said" if $?;
  system("ip netns del $name");
  return;
}

# in($netns, sub {...}): runs code with the sockets it opens in that namespace.
# Sockets keep theirs, so a client of a namespace can be used from outside it.
sub in {
  my ($netns, $code) = @_;
  return $code->() unless defined $netns;
  my $setns = number('setns') or die 'this perl does not know setns(2)';
  open my $home,  '<', '/proc/self/ns/net'  or die "own namespace: $!";
  open my $there, '<', "/run/netns/$netns" or die "namespace $netns: $!";
  syscall($setns, fileno $there, CLONE_NEWNET) == 0 or die "setns $netns: $!";
  my @result = eval { wantarray ? $code->() : scalar $code->() };
  my $failure = $@;
  syscall($setns, fileno $home, CLONE_NEWNET) == 0 or die "setns back: $!";
  die $failure if $failure;
  return wantarray ? @result : $result[0];
}

# The command prefix that does the same for another program.
sub prefix { my ($netns) = @_; return defined $netns ? ('ip', 'netns', 'exec', $netns) : () }

# A free TCP port on an address.
sub free_port {
  my ($host, $netns) = @_;
  my $socket = in($netns, sub {
    IO::Socket::IP->new(LocalHost => $host // '127.0.0.1', LocalPort => 0, Listen => 1);
  }) or die "no free port: $@";
  return $socket->sockport;
}

# Waits until the code returns something true; returns it, or nothing. What this
# takes on an idle machine, 10 s if nothing is said, is turned into a limit. Asks
# again after a tenth of the time that it has waited: eight tests that ask all
# the time are what a busy machine is busy with.
sub wait_for {
  my ($code, $seconds) = @_;
  my $begin = time;
  my $end = $begin + Limits::of($seconds // 10);
  while (1) {
    my $result = $code->();
    return $result if $result;
    return if time > $end;
    sleep min(max(0.02, (time - $begin) / 10), 0.25);
  }
}

sub wait_port {
  my ($host, $port, $netns, $seconds) = @_;
  return wait_for(sub {
    in($netns, sub { IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Timeout => 1) });
  }, $seconds);
}

1;
