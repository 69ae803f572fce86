package SocketOf;

# The options of another process's control connection, asked of the kernel: a
# copy of the descriptor is taken with pidfd_getfd(2).

use strict;
use warnings;
use Client;
use IO::Handle;
use Net;
use Server;
use Socket qw(SOL_SOCKET SO_KEEPALIVE IPPROTO_TCP unpack_sockaddr_in);

# The same numbers on every architecture.
use constant { PIDFD_OPEN => 434, PIDFD_GETFD => 438 };
use constant { TCP_KEEPIDLE => 4, TCP_KEEPINTVL => 5, TCP_KEEPCNT => 6, TCP_USER_TIMEOUT => 18 };

# The control connection of the session that serves this port of a client.
sub control {
  my ($client_port, @pids) = @_;
  for my $pid (@pids) {
    my $socket = socket_to($client_port, $pid);
    return $socket if $socket;
  }
  return;
}

sub socket_to {
  my ($client_port, $pid) = @_;
  my $pidfd = syscall(PIDFD_OPEN, $pid + 0, 0);
  return if $pidfd < 0;
  my $own = IO::Handle->new_from_fd($pidfd, 'r');
  for my $fd (map { m{/(\d+)$} } glob "/proc/$pid/fd/*") {
    my $copy = syscall(PIDFD_GETFD, $pidfd, $fd + 0, 0);
    next if $copy < 0;
    my $socket = IO::Handle->new_from_fd($copy, 'r+') or next;
    my $peer = getpeername($socket) or next;
    next unless eval { (unpack_sockaddr_in($peer))[0] == $client_port };
    return $socket;
  }
  return;
}

sub options {
  my ($socket) = @_;
  my @wanted = ([SOL_SOCKET, SO_KEEPALIVE], map { [IPPROTO_TCP, $_] } TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT);
  return join ' ', map { unpack 'i', getsockopt($socket, $_->[0], $_->[1]) } @wanted;
}

# What ProFTPD without us makes of a SocketOptions; 1.3.7 leaves it to the kernel.
sub stock {
  my ($line) = @_;
  my $server = Server->start(config => "$line\n");
  my $client = Client->connect($server->bind, $server->port)->login;
  return options(control($client->{socket}->sockport, $server->children));
}

1;
