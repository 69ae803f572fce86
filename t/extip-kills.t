#!/usr/bin/perl
# The helper of mod_extip killed over and over: it comes back later and later,
# unless it had lived for ten seconds, and whatever happens the known address is
# announced. With LONG a thousand times, which takes half an hour.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Limits;
use Seed;
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(sleep time);

sub figures { $ENV{LONG} ? diag @_ : note @_ }
if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my @web = ExtIP::webs(('9.9.9.9') x 2);
my $server = ExtIP::server(\@web, sub { "ExtIPLog $_[0]{dir}/extip.log\nTimeoutIdle 0\nTimeoutNoTransfer 0\n" });
sub extip_log { Server::slurp($server->dir . '/extip.log') }
ok(Net::wait_for(sub { extip_log() =~ /address is now 9\.9\.9\.9/ }, 15), 'the address is known');

my $client = ExtIP::client($server)->login;
is(ExtIP::announced($client), '9.9.9.9', '... and announced');
my $asker = ExtIP::ask_all_the_time($server);

my ($begin, $helper, $killed, @all) = (time, 0, time);
sub next_helper { return $helper = ExtIP::next_helper($server, 5, $helper) // die 'no other helper' }

# What a web server has been asked is in its log, by size.
sub asked { return -s "$web[0]{dir}/access.log" }
my $before = asked();
sub kill_it { kill 'KILL', $helper; $killed = time; $before = asked(); push @all, $helper }

# Seconds until each next helper began, as the log has it.
sub delays {
  my @delays;
  Net::wait_for(sub {
    @delays = extip_log() =~ /has ended: restarting in (\d+) s, keeping the known addresses/g;
    return @delays >= @all;
  }, 10);
  return @delays;
}

# Anything since the last helper but this one.
sub wait_until_asked {
  my $end = time + 70;
  while (asked() == $before) { sleep 0.0005; return if time > $end }
  return time - $killed;
}

# Killed while they wait, and after a round.
for (1 .. 2) { next_helper(); kill_it() }
next_helper();
my $seconds = wait_until_asked();
cmp_ok($seconds, '>=', 1.9, 'the third waits its 2 s');
cmp_ok($seconds, '<', 4 * (1 + Limits::slowness()), '... and then asks');
sleep 0.3;
for (1 .. 12) { kill_it(); next_helper() }
my @delays = delays();
is("@delays[0 .. 13]", '1 2 4 8 16 32 64 64 64 64 64 64 64 64', 'each begins after twice the time, a whole round or not, 64 s at most');
$before = asked();
$server->hup;
ok(Net::wait_for(sub { asked() > $before }, 15), 'SIGHUP does not wait for the 64 s');
$helper = ExtIP::helper($server);
sleep 10.5;
kill_it();
next_helper();
is((delays())[-1], 1, 'one that has lived for ten seconds begins the count again');

# Killed while they wait, in the middle of a round whose sources do not answer,
# and at any moment around its end. A SIGHUP now and then, or it would take days.
my $kills = @all + ($ENV{LONG} ? 985 : 12);
my $pid = $server->pid;
my (%when, $kb, $reloads);
my $fds = ExtIP::descriptors($pid);
while (@all < $kills) {
  ($kb, $reloads) = (ExtIP::memory($pid), 0) if @all == 100;
  if ((delays())[-1] >= 4) {
    $reloads++;
    $before = asked();
    $server->hup;
    $helper = ExtIP::next_helper($server, 15, $helper) // BAIL_OUT('no other helper');
  }
  my $kind = @all % 3;
  if ($kind == 0) {
    sleep rand 0.9;
    $when{'before their round'}++;

  } elsif ($kind == 1) {
    my @workers = map { Server::children_of($_->{pid}) } @web;
    kill 'STOP', @workers;
    sleep 1.1 + rand 0.3;
    $when{'waiting for an answer'}++;
    kill_it();
    kill 'CONT', @workers;
    Net::wait_for(sub { asked() > $before }, 0.1);    # what the last one had asked
    $before = asked();
    next_helper();
    next;

  } else {
    wait_until_asked();
    sleep rand 0.02;
    $when{'around the end of a round'}++;
  }
  kill_it();
  next_helper();
}
@delays = delays();
is(scalar @delays, $kills, "$kills helpers were killed") or diag extip_log();
my @odd = grep { $delays[$_] != 1 and $delays[$_] != min(64, 2 * $delays[$_ - 1]) } 1 .. $#delays;
is("@odd", '', 'each began after twice the time of the one before, or after 1 s');
figures sprintf '%d SIGKILLs in %.0f s: %s', $kills, time - $begin, join ', ', map { "$when{$_} $_" } sort keys %when;

my %seen = $asker->();
is(join(' ', sort keys %seen), '9.9.9.9', 'the address was announced every time') or diag explain \%seen;
figures sprintf '%d times', $seen{'9.9.9.9'} // 0;

$_->answer('8.8.8.8') for @web;
$server->ctl('extip', 'refresh');
ok(Net::wait_for(sub { ExtIP::announced($client) eq '8.8.8.8' }, 15),
  'a session from before all that announces the next change');
unlike(extip_log() . ExtIP::log($server), qr{mod_extip/.*(?:damaged|renamed to|be used|cannot)}, 'nothing is wrong with the table');
ok(Net::wait_for(sub { !ExtIP::zombies($server) }, 5), 'the daemon has no zombie');
$client->quit;
ok(Net::wait_for(sub { ExtIP::children($server) == 1 }, 5), '... and no child but the last helper')
  or diag join ' ', ExtIP::children($server);
cmp_ok(ExtIP::descriptors($pid), '<=', $fds, '... no more descriptors than before');
# ProFTPD itself keeps a third of a KiB of a shared module at each reload
# (t/reload-memory.t).
if (defined $kb and !$ENV{SANITIZE}) {
  my $kb_after = ExtIP::memory($pid);
  cmp_ok($kb_after - $kb, '<=', 64 + $reloads / 2, '... and not more memory than after a hundred kills');
  figures "$kb KiB after 100, $kb_after KiB after $kills and $reloads reloads; $fds descriptors";
}

done_testing;
