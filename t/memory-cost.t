#!/usr/bin/perl
# What the three modules together cost the daemon that they are loaded in: memory
# of its own, and mappings, which each session's fork has to copy.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'the sanitizers have memory of their own' if $ENV{SANITIZE};

my %config = (
  mod_extip => sub { "ExtIPEngine on\nExtIPTable $_[0]{dir}/state/extip.tab\nExtIPSource http://127.0.0.2:8080/\n" },
  mod_natpasv => sub { "NATPasvEngine on\nNATPasvPool public 61000-61999\nNATPasvRule * pool public\n" },
  mod_keepalive => sub { "KeepaliveEngine on\n" },
);

# KiB that the daemon has written to, and its mappings. What it has only read are
# pages of program files, which all processes share; those of a file that has
# just been built count as written until they are on the disk.
sub cost {
  my ($server) = @_;
  system('sync') == 0 or die 'sync: $?';
  $server->belongings;    # waits until it rests
  my $proc = '/proc/' . $server->pid;
  my ($written) = Server::slurp("$proc/smaps_rollup") =~ /^Private_Dirty:\s+(\d+) kB/m;
  return ($written, scalar(() = Server::slurp("$proc/maps") =~ /\n/g));
}

sub with {
  my (@modules) = @_;
  return cost(my $server = Server->start(modules => \@modules, config => sub { my ($s) = @_; join '', map { $config{$_}->($s) } @modules }));
}

my ($stock, $stock_mappings) = with();
my ($memory, $mappings) = with(qw(mod_extip mod_natpasv mod_keepalive));
note "$stock KiB and $stock_mappings mappings without the modules, $memory and $mappings with them";
cmp_ok($memory - $stock, '<=', 400, 'the daemon has at most 400 KiB more with all three modules');
cmp_ok($mappings - $stock_mappings, '<=', 30, '... and at most 30 mappings more');

done_testing;
