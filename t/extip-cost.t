#!/usr/bin/perl
# What mod_extip costs: greetings while all sources hang, mod_dynmasq beside, and
# memory of a session.

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

sub start {
  my ($bind, $config, @modules) = @_;
  return Server->start(bind => $bind, port => 2121, modules => \@modules, config => $config);
}
my $with = start('127.0.0.11', sub { ExtIP::config($_[0], @sources) . "ExtIPTimeout 60s\n" }, 'mod_extip');
my $off  = start('127.0.0.12', "ExtIPEngine off\n", 'mod_extip');
my $stock = start('127.0.0.13', '');

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# Greetings, one server and the other in turns. A session that ends costs the
# next client of any ProFTPD daemon 0.2 s, so none does before all have begun.
my @open;
sub greeting {
  my ($server) = @_;
  my $begin = time;
  push @open, Client->connect($server->bind, 2121);
  return time - $begin;
}
sub ratio {
  my ($count) = @_;
  my (@with, @off);
  for my $n (1 .. $count) {
    push @with, greeting($with) if $n % 2;
    push @off,  greeting($off);
    push @with, greeting($with) if $n % 2 == 0;
  }
  $_->close for splice @open;
  return (median(@with) / median(@off), 1000 * median(@with), 1000 * median(@off));
}
my ($count, $bar) = $ENV{LONG} ? (500, 1.05) : (200, 1.1);
my ($ratio, $on_ms, $off_ms) = ratio($count);
cmp_ok($ratio, '<', $bar, "greetings while all sources hang: ratio of medians to the engine off below $bar");
diag sprintf '%d connections each, medians %.2f and %.2f ms, ratio %.3f', $count, $on_ms, $off_ms, $ratio if $ENV{LONG} or $ratio >= $bar;

# The longest that a client waits when nobody who is asked answers any more.
if ($ENV{LONG}) {
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
sleep 0.5;
my $with_kb  = median(map { session_memory($with) } 1 .. 5);
my $stock_kb = median(map { session_memory($stock) } 1 .. 5);
cmp_ok($with_kb - $stock_kb, '<', 64, 'a session has less than 64 KiB more for itself than in the stock daemon');
note "$with_kb KiB with mod_extip, $stock_kb KiB without";
diag "private dirty memory of a session: $with_kb KiB with mod_extip, $stock_kb KiB without" if $ENV{LONG};

done_testing;
