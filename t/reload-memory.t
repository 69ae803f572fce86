#!/usr/bin/perl
# What a daemon with all three modules keeps of each reload: memory that grows with
# the number of reloads, for which a log rotated each night is enough. A third of
# a KiB of each module is ProFTPD's own, as its mod_ban shows.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use ExtIP;
use Server;
use Test::More;
use Time::HiRes qw(sleep);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'the sanitizers have memory of their own' if $ENV{SANITIZE};

use constant RELOADS => 30;

ExtIP::addresses();
my ($source) = ExtIP::deaf('127.0.1.1');

my %config = (
  mod_extip => sub { ExtIP::config($_[0], 'stun:127.0.1.1') },
  mod_natpasv => sub { "NATPasvEngine on\nNATPasvPool public 61000-61999\nNATPasvRule * pool public\n" },
  mod_keepalive => sub { "KeepaliveEngine on\n" },
);

my $server = Server->start(modules => [sort keys %config],
  config => sub { my ($s) = @_; join '', map { $config{$_}->($s) } sort keys %config });

# The KiB that the daemon has after so many reloads.
sub reloads {
  for (1 .. $_[0]) {
    my $seen = length $server->log;
    $server->hup;
    Net::wait_for(sub { substr($server->log, $seen) =~ /received SIGHUP/ }, 10) or BAIL_OUT('no reload: ' . $server->log);
    sleep 0.05;
  }
  $server->belongings;    # waits until it rests
  return ExtIP::memory($server->pid);
}

my $before = reloads(RELOADS);    # the first ones allocate for good
my $kept = reloads(RELOADS) - $before;
note RELOADS, " reloads leave $kept KiB";
cmp_ok($kept, '<=', 96, RELOADS . ' reloads leave the daemon at most 96 KiB');

done_testing;
