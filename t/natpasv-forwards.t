# Passive ports that a router forwards: which clients get them, and what they are
# told. The router is a small one of ours, that forwards nothing.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadRouter;
use ExtIP;
use Server;
use Test::More;
use Time::HiRes 'sleep';

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

ExtIP::addresses();
my $router = BadRouter->start(host => '127.0.0.2', outside => '9.9.9.7');

sub start {
  my ($forward, %does) = @_;
  $router->does(%does);
  return ExtIP::server(['natpmp:127.0.0.2'], sub { <<"EOC" }, modules => ['mod_extip', 'mod_natpasv', 'mod_forward_test']);
ExtIPGateway 127.0.0.2
ExtIPForward $forward
NATPasvEngine on
NATPasvTable none
NATPasvPool public 30000-30019 quarantine 0s
NATPasvPool lan 31000-31009
NATPasvRule * pool public
NATPasvRule nobody pool lan address local
EOC
}

# What COUNT commands are answered with, each port once.
sub ports {
  my ($client, $command, $count) = @_;
  my %seen;
  for (1 .. $count) {
    my $port = $command eq 'EPSV' ? $client->epsv : ($client->pasv)[1];
    $seen{ $port // $client->{last} }++;
  }
  return join ' ', sort keys %seen;
}

sub status { my ($server) = @_; return ($server->ctl('natpasv', 'status'))[1] }
sub open_ports { my ($server, $words) = @_; return Net::wait_for(sub { status($server) =~ /^  \Q$words\E$/m }, 10) }

my @some = 30000 .. 30007;
my $server = start('passive', max => 8);
ok(open_ports($server, '8 of 20 forwarded'), 'the router forwards 8 of the 20 ports of the pool, and the status says so') or diag status($server);
unlike(status($server), qr/of 10 forwarded/, 'a pool for clients that are told the local address is not forwarded');
my $client = ExtIP::client($server)->login;
for my $command ('PASV', 'EPSV') {
  is(ports($client, $command, 100), "@some", "$command: a client outside gets each of these, and no other");
}

# Another module may ask about one port.
sub asked { my ($of) = @_; return ($client->cmd("XFWD $of"))[1] }
is(asked(30000), '200 30000 30000 9.9.9.7 open open', 'a forward that is open, as another module is told');
like(asked(30007), qr/^200 30007 30007 /, '... also the last');
is(asked(30008), '200 30008 0 9.9.9.7 not refused', '... and one that the router refuses');
is(asked($_), '550 not to be forwarded', "... and none of port $_") for 30020, 31000, 0;

# A listener for EPSV that nobody came to: perhaps the router has forgotten.
my $asked = () = $router->requests;
$client->epsv;
sleep 1.2;
$client->epsv;
ok(Net::wait_for(sub { (() = $router->requests) >= $asked + 8 }, 10), 'a client that never came has all forwards asked for again')
  or diag $asked, ' and ', scalar(() = $router->requests);
my $local = ExtIP::client($server, '127.0.0.1')->login;
like(ports($local, 'PASV', 100), qr/\b300(?:0[89]|1\d)\b/, 'a local client gets others, too');

# The address inside is reached under the port outside.
$server = start('passive any-port max 8', add => 1000);
ok(open_ports($server, '8 of 8 forwarded'), 'another outside port is as good with any-port') or diag status($server);
$client = ExtIP::client($server)->login;
my @outside = map { $_ + 1000 } @some;
is(ports($client, 'PASV', 100), "@outside", '... and is announced in the 227 reply');
is(ports($client, 'EPSV', 100), "@outside", '... and in the 229 reply');
my $port = ($client->pasv)[1] - 1000;
ok(IO::Socket::INET->new(PeerAddr => $server->bind, PeerPort => $port, LocalAddr => $ExtIP::outside, Timeout => 5), '... of a listener on the port inside');

is(asked(30007), '200 30007 31007 9.9.9.7 open open', '... and another module is told as well');

# Nothing is forwarded.
$server = start('passive', result => 2);
ok(Net::wait_for(sub { ($server->ctl('extip', 'forwards'))[1] =~ /refused/ }, 10), 'the router refuses');
ok(open_ports($server, '0 of 20 forwarded'), '... all ports');
$client = ExtIP::client($server)->login;
like(ports($client, 'PASV', 400), qr/^30000 .* 30019$/, 'then a client outside gets all');
like(asked(30000), qr/^200 30000 0 \S+ not /, '... and another module is told that they are not open');
like($server->log, qr/the router forwards no port of pool 'public': all are announced/, '... and the log says so');

done_testing;
