package ExtIP;

# What the tests of mod_extip share: sources that say what they are told, a
# client from outside, and waiting for an address.

use strict;
use warnings;
use Client;
use Net;
use Nginx;
use Server;

# Loopback is local as clients go, so a client that is not needs an address that
# is not. In the private namespace of a test these are nobody else's.
our $outside = '198.51.100.7';
our $bind    = '198.51.100.1';

sub addresses {
  system("ip addr add $_/32 dev lo") == 0 or die "no address $_" for $outside, $bind;
}

# Real web servers on 127.0.0.2, 127.0.0.3 and so on, one an answer.
sub webs {
  my $number = 2;
  return map { Nginx->start(host => '127.0.0.' . $number++, port => 8080, answer => $_) } @_;
}

# Directives: the engine with these sources (web servers or URIs).
sub config {
  my ($server, @sources) = @_;
  return "ExtIPEngine on\nExtIPTable $server->{dir}/state/extip.tab\n"
    . join '', map { 'ExtIPSource ' . (ref $_ ? $_->uri : $_) . "\n" } @sources;
}

# A daemon with mod_extip on the address that clients from outside reach; at
# most one of these runs at a time.
my $running;
sub server {
  my ($sources, $config, %opt) = @_;
  $running->stop if $running;
  return $running = Server->start(
    bind => $bind, port => 2121, modules => ['mod_extip'],
    config => sub { config($_[0], @$sources) . (ref $config ? $config->($_[0]) : $config // '') }, %opt,
  );
}

sub client {
  my ($server, $from) = @_;
  return Client->connect($server->bind, $server->port, from => $from // $outside);
}

# The address in the 227, or the reply when there is none.
sub announced { my ($client) = @_; return ($client->pasv)[0] // "$client->{code} $client->{last}" }

sub status { my ($server, @words) = @_; return ($server->ctl('extip', 'status', @words))[1] }

sub log { my ($server) = @_; return $server->stderr . $server->log }

# Waits for the log line of an address; true when it is there.
sub known {
  my ($server, $address, $seconds) = @_;
  return Net::wait_for(sub { ExtIP::log($server) =~ /address is now \Q$address\E,/ }, $seconds // 15);
}

sub helper {
  my ($server) = @_;
  return (grep { Server::slurp("/proc/$_/cmdline") =~ /mod_extip: asking/ } $server->children)[0];
}

1;
