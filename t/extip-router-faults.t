#!/usr/bin/perl
# Routers that are silent, refuse, or answer nonsense: mod_extip says so once,
# goes on, and asks less and less often.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadRouter;
use ExtIP;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my $router = BadRouter->start(host => '127.0.0.2', outside => '9.9.9.7');

sub start {
  my ($protocols) = @_;
  return ExtIP::server(['natpmp:127.0.0.2'], sub { <<"EOC" });
ExtIPGateway 127.0.0.2 $protocols
ExtIPForward passive max 40
PassivePorts 30000 30039
EOC
}

sub forwards { my ($server) = @_; return ($server->ctl('extip', 'forwards'))[1] }
sub said { my ($server, $words) = @_; return scalar(() = ExtIP::log($server) =~ /$words/g) }

# Asked again each time, as a client that reaches nothing would have it.
my @faults = $ENV{LONG} ? (sort(keys %BadRouter::FAULTS), @BadRouter::SOURCES) : ('nonce', 'cut', 'option', 'another address');
my @results = $ENV{LONG} ? 1 .. 13 : (2, 8);
for my $protocol ('pcp', 'natpmp') {
  $router->does(fault => 'silent');
  my $server = start($protocol);
  my $helper = Net::wait_for(sub { ExtIP::helper($server) }, 5);
  ok(Net::wait_for(sub { said($server, 'no port is forwarded: the router 127.0.0.2 does not answer') }, 10), "$protocol: a silent router is named");
  cmp_ok((ExtIP::waits($server, 1))[-1], '<', Limits::of(1), '... and clients are greeted as ever');

  my $expected = qr/no answer|refused/;
  for my $case ((map { [fault => $_] } @faults), (map { [result => $_] } @results)) {
    my $name = join ' ', @$case;
    # What is harmless: NAT-PMP has no nonce, and both take what follows an answer for options.
    next if $name =~ /option|length/ || $name =~ /nonce|protocol|address family|address 0/ && $protocol eq 'natpmp';
    $router->does(@$case);
    my $before = () = $router->requests;
    $server->ctl('extip', 'refresh');
    Net::wait_for(sub { $router->requests > $before }, 10) or diag "$name: not asked";
    sleep 0.1;
    unlike(forwards($server), qr/ open /, "$protocol: $name opens no port");
  }
  is(ExtIP::helper($server), $helper, "$protocol: the helper lives on");
  is(said($server, 'does not answer'), 1, '... and has named the silent router once') if !$ENV{LONG};

  $router->does;
  $server->ctl('extip', 'refresh');
  ok(Net::wait_for(sub { forwards($server) =~ /^40 of 40 ports/ }, 15), "$protocol: when the router is as it should be, all ports are forwarded") or diag forwards($server);
  $server->stop;
  is(scalar(my @rules = $router->rules), 0, '... and none after the end');
}

# The source pcp: asks about a forward in force.
{
  $router->does;
  my $server = ExtIP::server(['pcp:127.0.0.2'], "ExtIPTimeout 2s\nExtIPGateway 127.0.0.2 pcp\nExtIPForward passive max 2\nPassivePorts 30000 30039\n");
  ok(ExtIP::known($server, '9.9.9.7'), 'pcp: is told the address');
  for my $case (
    [[fault => 'nonce'], qr/no answer in 2000 ms: discarded \d+, the last: an answer to another request/],
    [[fault => 'silent'], qr/no answer in 2000 ms: is PCP switched on in the router\?/],
  ) {
    my ($does, $says) = @$case;
    $router->does(@$does);
    $server->ctl('extip', 'refresh');
    ok(Net::wait_for(sub { ExtIP::status($server) =~ $says }, 15), "... @$does: the status says what came") or diag ExtIP::status($server);
  }
  like(ExtIP::status($server), qr/^  address     9\.9\.9\.7$/m, '... and the address is kept');
  $server->stop;
}

# A table that is full, with an answer and without.
for my $full ('refuses', 'silent') {
  $router->does(max => 32, $full eq 'silent' ? (full => 'silent') : ());
  my $server = start('pcp');
  ok(Net::wait_for(sub { forwards($server) =~ /^32 of 40 ports/ }, 10), "a table of 32 that $full when it is full: 32 are forwarded") or diag forwards($server);
  ok(Net::wait_for(sub { said($server, 'router 127.0.0.2 forwards 32 of 40 ports \(pcp\); port 30032: ') }, 60), '... which is said');
  $server->stop;
}

# A router that speaks only one protocol says so in the form of that one.
for my $only ('pcp', 'natpmp') {
  $router->does(only => $only);
  my $server = start($only eq 'pcp' ? 'natpmp pcp' : 'pcp natpmp');
  ok(Net::wait_for(sub { forwards($server) =~ /^40 of 40 ports/ }, 10), "a router that speaks $only only: that is found out");
  like(forwards($server), qr/ $only +open /, '... and used');
  $server->stop;
}

done_testing;
