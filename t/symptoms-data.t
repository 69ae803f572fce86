# The symptoms of troubleshooting.html about data connections that are refused, and
# about what stands between, each provoked by a client.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::INET;
use IO::Socket::SSL;
use Server;
use Symptoms;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

my ($client_address, $other, $somebody) = ('203.0.113.9', '203.0.113.77', '198.51.100.7');
system("ip addr add $_/32 dev lo") == 0 or die "no address $_" for $client_address, $other, $somebody;

sub server {
  my ($config, @modules) = @_;
  my $server = Server->start(modules => [@modules, 'mod_natpasv'], config => "NATPasvEngine on\nNATPasvPool all 30000-30099\n$config");
  $server->file('down', text => 'all well');
  return ($server, sub { $server->log });
}
sub client { my ($server) = @_; return Client->connect($server->bind, $server->port, from => $client_address)->login }

# A client that makes a new session for its data connection.
SKIP: {
  skip 'mod_tls is missing', 1 unless Server::has_module('mod_tls');
  my ($server, $log) = server("NATPasvRule * pool all\n" . (Server::tls() =~ s/^TLSOptions.*\n//mr), 'mod_tls');
  my $client = Client->connect($server->bind, $server->port, from => $client_address)->auth_tls->login;
  my $data = $client->data($client->pasv);
  $client->send('RETR down');
  IO::Socket::SSL->start_SSL($data, SSL_verify_mode => 0);
  close $data;    # the server waits for that
  my ($code, $text) = $client->reply;
  ($code, $text) = $client->reply if $code == 150;
  is($text, '425 Unable to build data connection: Operation not permitted', 'a client that does not reuse its TLS session');
  symptom('SessionReuse', Log => $log);
}

# Data connections from another address than the client's.
{
  my ($server, $log) = server('NATPasvRule * pool all');
  my $client = client($server);
  my ($host, $port) = $client->pasv;
  my $data = IO::Socket::INET->new(PeerHost => $host, PeerPort => $port, LocalHost => $other) or die $!;
  $client->send('RETR down');
  my $bytes = '';
  1 while sysread $data, $bytes, 100, length $bytes;
  is($bytes, 'all well', 'a client whose data connection comes from another address');
  symptom('Stranger', Log => $log);
}
{
  my ($server, $log) = server('NATPasvRule * pool all from client');
  my $client = client($server);
  my ($host, $port) = $client->pasv;
  $client->send('RETR down');
  # The kernel drops his packets, or the session accepts his connection and keeps
  # it waiting.
  my $stranger = IO::Socket::INET->new(PeerHost => $host, PeerPort => $port, LocalHost => $other, Timeout => 1);
  ok(Net::wait_for(sub { `ss -Htln sport = :$port` =~ /^LISTEN\s+0\s/ }), 'somebody else connects where only the client may');
  $client->close;
  symptom('StrangersOnly', Log => $log);
}

# Active mode: the client's side drops what the server sends to it.
{
  my ($server, $log) = server('NATPasvRule * pool all');
  system('sysctl', '-qw', 'net.ipv4.tcp_syn_retries=1') == 0 or die 'sysctl';
  system("nft 'add table ip f; add chain ip f in { type filter hook input priority 0; }; add rule ip f in ip daddr $client_address tcp dport 5000 drop'") == 0 or die 'nft';
  my $client = client($server);
  is(($client->cmd('PORT ' . ($client_address =~ tr/./,/r) . ',19,136'))[0], 200, 'a client in active mode');
  like(($client->cmd('RETR down'))[1], qr/^425 Unable to build data connection: /, '... to which no connection can be made');
  symptom('ActiveBlocked', Log => $log);
  is(($client->cmd('PORT ' . ($somebody =~ tr/./,/r) . ',19,136'))[0], 500, "... and one that names another host's address");
  symptom('ActiveRefused', Log => $log);
}

# Everybody has the address of the proxy.
{
  my $server = Server->start(modules => ['mod_keepalive'], config => "KeepaliveEngine on\n");
  client($server)->quit for 1 .. 50;
  symptom('Proxy', Log => sub { $server->log });
}

done_testing;
