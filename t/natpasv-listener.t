# What a passive listener is to the kernel and to other modules: its options, and
# the event core.data-listen, for every way to a port; and a pool that listens on
# an address of the other family.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
my $six = system('ip -6 addr add 2001:db8::5/128 dev lo nodad; ip -6 addr add 2001:db8::6/128 dev lo nodad') == 0;

sub section {
  my ($dir, $port, $text) = @_;
  return "Port $port\nAuthUserFile $dir/passwd\nAuthOrder mod_auth_file.c\nRequireValidShell off\nNATPasvEngine on\n$text";
}
my $server = Server->start(
  modules => ['mod_natpasv', 'mod_listen_test'],
  base    => "ServerType standalone\nUseIPv6 on\nSocketBindTight on\nUser nobody\nGroup nogroup\nUseReverseDNS off\nWtmpLog off\nDelayEngine off\n",
  config  => sub {
    my ($self) = @_;
    my ($dir, $port) = @$self{qw(dir port)};
    my $host = sub { my ($address, $text) = @_; return "<VirtualHost $address>\n" . section($dir, $port, $text) . "</VirtualHost>\n" };
    return "NATPasvTable $dir/natpasv.tab\nNATPasvPool pool 20000-20009 listen 127.0.0.1\n"
      . "DefaultAddress 127.0.0.1\n" . section($dir, $port, "NATPasvRule * pool pool\n")
      . $host->('127.0.0.2', "PassivePorts 21000 21009\n") . $host->('127.0.0.3', '')
      . $host->('127.0.0.4', "NATPasvRule * pool pool\nSocketOptions keepalive off\n")
      . ($six ? $host->('2001:db8::5', "NATPasvRule * pool pool\n") : '');
  },
);

# The events since the last time.
my $read = 0;
sub events {
  my $log = substr $server->log, $read;
  $read += length $log;
  return $log =~ /data-listen: (.*)/g;
}

my @ways = (
  ['a port of a pool',                       '127.0.0.1', 1, qr/^20/],
  ['a port of PassivePorts',                 '127.0.0.2', 1, qr/^21/],
  ['a port of the kernel',                   '127.0.0.3', 1, qr/./],
  ['a pool with SocketOptions keepalive off', '127.0.0.4', 0, qr/^20/],
);
for (@ways) {
  my ($way, $host, $keepalive, $ports) = @$_;
  my $client = Client->connect($host, $server->port)->login;
  events();
  # The second socket was made in advance, the third is of the second session.
  for my $command (qw(PASV EPSV PASV)) {
    my ($address, $port) = $command eq 'PASV' ? $client->pasv : $client->epsv;
    my $own = $way =~ /^a pool/ || $host eq '127.0.0.1' ? '127.0.0.1' : $host;
    my ($event, @more) = events();
    like($event // '', qr/^\Q$own\E#$port keepalive=$keepalive freebind=1 reuseaddr=1 reuseport=0 listens=0$/,
      "$way, $command: other modules hear of a socket that is bound, with its options, before it listens") or diag $server->log;
    is("@more", '', '... once');
    like($port, $ports, '... on the port that is announced');
  }
  $client->quit;
}

SKIP: {
  skip 'no IPv6 here', 3 unless $six;
  my $client = Client->connect('2001:db8::5', $server->port, from => '2001:db8::6')->login;
  events();
  my ($address, $port) = $client->epsv;
  like((events())[0] // '', qr/^2001:db8::5#$port keepalive=1 freebind=1 /, 'a pool that listens on an IPv4 address: an IPv6 client has a listener where it came');
  ok($client->dial('2001:db8::5', $port, 5), '... and reaches it');
  like($port, qr/^20/, '... on a port of the pool');
}

done_testing;
