#!/usr/bin/perl
# A daemon and its helper through many rounds and changes of the address, on a
# clock that runs fifty times as fast: neither grows. 10,000 rounds with LONG.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use BadServer;
use Coturn;
use ExtIP;
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(sleep time);

sub figures { $ENV{LONG} ? diag @_ : note @_ }
if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'a fast clock and the sanitizers do not go together' if $ENV{SANITIZE};
my $fast = ExtIP::fast_clock(50) or plan skip_all => 'faketime (Debian package faketime) is missing';

# Two web servers, one of them with TLS, the other found by name, agree on an
# address and change it every second; coturn has another opinion.
ExtIP::addresses();
my $certificates = BadServer->start;
my ($cert, $key) = map { "$certificates->{dir}/good.$_" } qw(pem key);
my $location = 'location / { if ($msec ~ "[02468]\.") { return 200 9.9.9.9; } return 200 8.8.8.8; }';
my @web = map { Nginx->start(host => "127.0.0.$_", port => 8080, locations => <<"EOC") } 1, 2;
listen 127.0.0.$_:8443 ssl;
ssl_certificate $cert;
ssl_certificate_key $key;
$location
EOC
my $coturn = Coturn->start(host => '127.0.0.3');

my $server = ExtIP::server(
  ['http://localhost:8080/', 'https://127.0.0.2:8443/', 'stun:127.0.0.3', 'stun:127.0.0.3?transport=tcp'],
  sub { <<"EOC" }, env => $fast);
ExtIPLog $_[0]{dir}/extip.log
ExtIPRefresh 1s
ExtIPTimeout 5m
ExtIPQuorum 2
ExtIPCACertificate @{[$certificates->ca]}
EOC
sub extip_log { Server::slurp($server->dir . '/extip.log') }
sub changes { return scalar(() = extip_log() =~ /address is now/g) }
ok(Net::wait_for(sub { changes() }, 15), 'the address is known') or diag extip_log();

my ($early, $rounds) = $ENV{LONG} ? (1000, 10_000) : (100, 200);
my %pid = (daemon => $server->pid, helper => ExtIP::helper($server));

# The middle of a hundred looks at the memory, and the fewest descriptors: those
# between two rounds.
sub measure {
  my %looks;
  for (1 .. 100) {
    push @{ $looks{$_}[0] }, ExtIP::memory($pid{$_}) for keys %pid;
    push @{ $looks{$_}[1] }, ExtIP::descriptors($pid{$_}) for keys %pid;
    sleep 0.007;
  }
  return map { $_ => [(sort { $a <=> $b } @{ $looks{$_}[0] })[50], min(@{ $looks{$_}[1] })] } keys %pid;
}

sub come_to {
  my ($n) = @_;
  my $end = time + $n;
  while ($web[0]->requests < $n and time < $end) { sleep 0.1 }
}

my $begin = time;
come_to($early);
my %before = measure();
come_to($rounds);
my %after = measure();
cmp_ok($web[0]->requests, '>=', $rounds, "$rounds rounds");
is(ExtIP::helper($server), $pid{helper}, '... all by the same helper');
cmp_ok(changes(), '>', (time - $begin) / 2, '... with a change of the address every other second or more');
is(scalar ExtIP::zombies($server), 0, '... and without a zombie');
for (sort keys %pid) {
  cmp_ok($after{$_}[0] - $before{$_}[0], '<=', 64, "the $_ has not more memory than after $early of them");
  is($after{$_}[1], $before{$_}[1], '... and as many descriptors');
  figures sprintf '%s: %d KiB and %d descriptors after %d rounds, %d KiB and %d after %d', $_, @{ $before{$_} },
    $early, @{ $after{$_} }, $rounds;
}
figures sprintf '%d rounds in %.0f s, %d changes', $web[0]->requests, time - $begin, changes();

done_testing;
