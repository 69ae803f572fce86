#!/usr/bin/perl
# What mod_extip costs: greetings while all sources hang and the router is silent,
# mod_dynmasq beside, and memory of a session.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use BadServer;
use ExtIP;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'the sanitizers cost more than what is measured here' if $ENV{SANITIZE};

ExtIP::addresses();
my @hosts = map { "127.0.1.$_" } 1 .. 10;
my @deaf = ExtIP::deaf(@hosts);
my @sources = map { ("http://$_:8080/", "stun:$_") } @hosts[0 .. 7];
my $router = IO::Socket::INET->new(LocalAddr => $hosts[8], LocalPort => 5351, Proto => 'udp') or die "port 5351: $!";

sub start {
  my ($n, $config, @modules) = @_;
  return Server->start(bind => "127.0.0.$n", port => 2121, modules => \@modules, config => $config);
}
sub with {
  my ($n, $engine) = @_;
  return start($n, sub { ExtIP::config($_[0], @sources) =~ s/^ExtIPEngine on$/ExtIPEngine $engine/mr
    . "ExtIPTimeout 60s\nExtIPGateway $hosts[8]\nExtIPForward control passive\nPassivePorts 61000 61031\n" }, 'mod_extip');
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# Greetings, one server and the other in turns. A session that ends costs the
# next client of any ProFTPD daemon 0.2 s, so none does before all have begun.
# Where a daemon's memory lies and which of two was started first makes up to 5
# per cent: there are four pairs of daemons, and the kinds take turns. The ratio
# is the geometric mean of theirs.
my @open;
# Other tests that run at the same time delay some greetings by far more than is
# measured: beside them, without LONG, what a quarter stays below is compared.
sub typical { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / ($ENV{LONG} ? 2 : 4)] }
sub greeting {
  my ($server) = @_;
  my $begin = time;
  push @open, Client->connect($server->bind, 2121);
  return time - $begin;
}
sub ratio {
  my ($count) = @_;
  my $logs = 0;
  for my $pair (1 .. 4) {
    my %server = map { $_ => with(10 + $pair + ($_ eq 'on' ? 0 : 10), $_) } $pair % 2 ? qw(on off) : qw(off on);
    my %took;
    for my $n (1 .. $count / 4) {
      push @{ $took{$_} }, greeting($server{$_}) for $n % 2 ? qw(on off) : qw(off on);
    }
    $_->close for splice @open;
    $logs += log(typical(@{ $took{on} }) / typical(@{ $took{off} }));
  }
  return exp($logs / 4);
}
my ($count, $bar) = $ENV{LONG} ? (500, 1.05) : (200, 1.1);
my $ratio = ratio($count);
cmp_ok($ratio, '<', $bar, "greetings while all sources hang and the router is silent: ratio to the engine off below $bar");
diag sprintf '%d connections each, ratio %.3f', $count, $ratio if $ENV{LONG} or $ratio >= $bar;

# The longest that a client waits when nobody who is asked answers any more.
SKIP: {
  skip 'only with LONG', 1 unless $ENV{LONG};
  skip 'this ProFTPD has no mod_dynmasq', 1 unless Server::has_module('mod_dynmasq');
  my $dns = BadServer->start(dns => 1);
  Net::resolver($dns->{host});
  my ($alone, $ours, $dynmasq) = map { $_->[-1] } ExtIP::beside_dynmasq($dns, 60);
  cmp_ok($ours, '<', $alone + 0.5, 'with mod_extip no client waits for sources that do not answer');
  diag sprintf 'longest wait for a greeting: %.2f s with ProFTPD alone, %.2f s with mod_extip, %.2f s with mod_dynmasq', $alone, $ours, $dynmasq;
}

# Memory that a session has for itself.
sub private_dirty {
  my ($pid) = @_;
  my $sum = 0;
  $sum += $_ for Server::slurp("/proc/$pid/smaps") =~ /^Private_Dirty:\s+(\d+) kB/mg;
  return $sum;
}
sub session_memory {
  my ($server) = @_;
  my %before = map { $_ => 1 } $server->children;
  my $client = Client->connect($server->bind, 2121)->login;
  $client->pasv for 1 .. 3;
  my ($session) = grep { !$before{$_} } $server->children;
  return private_dirty($session);
}
my ($with, $stock) = (with(30, 'on'), start(31, ''));
sleep 0.5;
my $with_kb  = median(map { session_memory($with) } 1 .. 5);
my $stock_kb = median(map { session_memory($stock) } 1 .. 5);
cmp_ok($with_kb - $stock_kb, '<', 64, 'a session has less than 64 KiB more for itself than in the stock daemon');
note "$with_kb KiB with mod_extip, $stock_kb KiB without";
diag "private dirty memory of a session: $with_kb KiB with mod_extip, $stock_kb KiB without" if $ENV{LONG};

done_testing;
