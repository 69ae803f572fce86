#!/usr/bin/perl
# How soon what a router does is in effect: forwards after the start of the daemon
# and of the router, and a new address. The router is Debian's miniupnpd. With
# LONG the limits are the bars, and not three times as long; there are 64 passive
# ports instead of 16, 100 transfers instead of 5 pass a port that another host
# holds, and the address changes ten times (else: t/extip-router.t).

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BadRouter;
use Client;
use ExtIP;
use Limits;
use Router;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable() // Router::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'the sanitizers cost more than what is measured here' if $ENV{SANITIZE};

my $lab = Router->new;
Server::tls(dir => $lab->dir);    # the certificate is made once
my $many = $ENV{LONG} ? 64 : 16;
my $grace = $ENV{LONG} ? 1 : 3;

# The control port and so many passive ones.
sub start {
  my ($source, $protocol, $ports, $forward) = @_;
  my $server = $lab->server(modules => [qw(mod_tls mod_extip mod_natpasv)], config => sub { Server::tls(dir => $lab->dir) . <<"EOC" });
ExtIPEngine on
ExtIPSource $source
ExtIPRefresh 1h
ExtIPTable none
ExtIPGateway auto $protocol
ExtIPForward control passive $forward
NATPasvEngine on
NATPasvTable none
NATPasvPool public 61000-@{[60999 + $ports]} quarantine 0s
NATPasvRule * pool public
EOC
  $server->file('short', text => "of this server\n");
  return $server;
}

# A client outside, who believes the address in the 227 reply. What it has got.
# Not curl: 7.88 waits for a second before it connects to that address.
sub transfer {
  my $client = eval { Client->connect($lab->external, 21, netns => $lab->ns('client'), timeout => Limits::of(2))->auth_tls->login } or return '';
  my (undef, undef, $got) = $client->retr('short');
  $client->quit;
  return $got // '';
}

sub rules { return scalar(() = $lab->rules) }

# Seconds from BEGIN until CODE is true.
sub bar {
  my ($begin, $seconds, $name, $code) = @_;
  my $limit = $seconds * $grace * Limits::slowness();
  my $done = Net::wait_for($code, 20);
  my $took = time - $begin;
  $ENV{LONG} ? diag sprintf '%s: %.2f s', $name, $took : note sprintf '%s: %.2f s', $name, $took;
  ok($done && $took <= $limit, "$name, within $seconds s") or diag $done ? sprintf('%.2f s', $took) : 'never';
}

for (['natpmp:', 'natpmp'], ['pcp:', 'pcp'], ['upnp:', 'upnp']) {
  my ($source, $protocol) = @$_;
  next if $protocol eq 'upnp' && !-x "$Server::BUILD/extip-upnp";
  my $begin = time;
  my $server = start($source, $protocol, 4, '');
  bar($begin, 2, "$protocol: from a router without forwards to a transfer from outside", sub { ExtIP::log($server) =~ /forwards 5 of 5 ports/ && transfer() =~ /^of this server/ });
  $server->stop;
  Net::wait_for(sub { !rules() }, 10);
}

my $server = start('natpmp:', '', $many, 'max ' . ($many + 1));
ok(Net::wait_for(sub { rules() == $many + 1 }, 20), "the control port and $many others are forwarded") or diag rules();
$lab->restart_router;
my $begin = time;
bar($begin, 2, 'the router was restarted: the control port is forwarded again', sub { grep { $_->{outer} == 21 } $lab->rules });
bar($begin, 5, "... and $many ports", sub { rules() == $many + 1 });

$server->stop;

# One early round in ten seconds is made.
if ($ENV{LONG}) {
  $server = start('natpmp:', '', 4, '');
  ok(ExtIP::known($server, $lab->external), 'the address is known');
  my $session = Client->connect('192.168.1.10', 21, netns => $lab->ns('branch'))->login;
  for my $n (1 .. 10) {
    my $address = '9.9.9.' . (100 + $n);
    sleep 11;
    BadRouter::announce(from => '192.168.1.20', netns => $lab->ns('lan'), how => $_, outside => '9.9.9.66') for qw(natpmp pcp);
    $begin = time;
    $lab->change_address($address);
    bar($begin, 1, "the router has another address ($n): a session that was logged in announces it", sub { ExtIP::announced($session) eq $address });
  }
  $server->stop;
}

# Port 61000 is another host's: nobody lands there.
$lab->hold(61000, 'lan');
for my $how ('', 'any-port') {
  $server = start('natpmp:', 'pcp', 4, $how);
  my $wanted = $how ? 6 : 5;    # with that of the other host
  ok(Net::wait_for(sub { rules() == $wanted }, 20), $how ? 'any-port: another outside port is as good' : 'a port of another host is left out');
  ok(Net::wait_for(sub { ($server->ctl('natpasv', 'status'))[1] =~ /^  @{[$how ? 4 : 3]} of 4 forwarded$/m }, 10), '... which mod_natpasv knows') or diag(($server->ctl('natpasv', 'status'))[1]);
  my $times = $ENV{LONG} ? 100 : 5;
  is(scalar(grep { transfer() =~ /^of this server/ } 1 .. $times), $times, "... $times of $times transfers reach this server");
  $server->stop;
}

done_testing;
