#!/usr/bin/perl
# Rounds of mod_extip before their time: who can ask for one, how soon it comes,
# and how often.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
my @addresses = ('9.9.9.9', '8.8.8.8');

# Without a reason the next round is five minutes away.
my $soon = 5;

# A server with rounds far apart, and what happens in it when the address
# changes and CODE is run: seconds until a session that was logged in before, and
# one that was not, announce the new one.
sub seconds_until_announced {
  my ($code, @modules) = @_;
  $_->answer($addresses[0]) for @web;
  my $server = ExtIP::server(\@web, sub { @modules ? <<"EOC" : '' }, modules => ['mod_extip', @modules]);
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool public 30000-30009
NATPasvRule * pool public address extip
EOC
  ExtIP::known($server, $addresses[0]) or return;
  my $client = ExtIP::client($server)->login;
  ExtIP::announced($client);
  $_->answer($addresses[1]) for @web;
  my $begin = $code->($server, $client) // time;
  my $came = Net::wait_for(sub { ExtIP::announced($client) eq $addresses[1] }, 20);
  my $seconds = time - $begin;
  is(ExtIP::announced(ExtIP::client($server)->login), $addresses[1], 'a new session announces the new address') if $came;
  return ($came ? $seconds : 99, $server);
}

my $last;
my ($seconds, $server) = seconds_until_announced(sub { $last = time; system('ip addr add 192.0.2.1/32 dev lo'); $last });
cmp_ok($seconds, '<', $soon, 'a new address on an interface: announced soon');
note "$seconds s after the address";

# What status says of the one answer; nothing while the daemon reloads.
sub report { my ($server) = @_; return (eval { $server->ctl_json('extip', 'status') } // {})->{answers}[0] // {} }

# The next round, as status has it once the helper has taken notice: not before
# ten seconds have passed since the last one, which was asked for at this time.
sub postponed {
  my ($server, $last, $what) = @_;
  my ($next, $asked);
  ok(Net::wait_for(sub {
    $asked = $web[0]->requests;
    $next  = Server::seconds(report($server)->{next_round});
    return $next > 0 && $next < time + 60;
  }, 5), "$what: one more round is wanted");
  cmp_ok($next, '>=', int($last + 10), '... ten seconds after the last one');
  return $asked;
}

# Twenty changes in a row are one reason for one round.
my $requests = $web[0]->requests;
system("ip addr add 192.0.2.$_/32 dev lo") for 2 .. 21;
my $asked = postponed($server, $last, 'twenty more changes of that kind');
ok($asked == $requests || time - $last >= 10, '... and none until then') or diag "$asked requests, $requests before";
system("ip addr del 192.0.2.$_/32 dev lo") for 1 .. 21;

($seconds) = seconds_until_announced(sub { system('ip route add default dev lo'); time });
cmp_ok($seconds, '<', $soon, 'a new default route: announced soon');
note "$seconds s after the route";
system('ip route del default dev lo');

($seconds) = seconds_until_announced(sub { my ($s) = @_; $s->ctl('extip', 'refresh'); time });
cmp_ok($seconds, '<', $soon, 'ftpdctl extip refresh: announced soon');
note "$seconds s after ftpdctl";

($seconds, $server) = seconds_until_announced(sub { $last = time; $_[0]->hup; $last });
cmp_ok($seconds, '<', $soon, 'SIGHUP: announced soon');
note "$seconds s after SIGHUP";
$requests = $web[0]->requests;
$server->hup;
system('ip route add 192.0.2.0/24 dev lo');
$server->ctl('extip', 'refresh');
is(postponed($server, $last, 'another SIGHUP, a route, ftpdctl'), $requests, '... and none until then');
system('ip route del 192.0.2.0/24 dev lo');

SKIP: {
  skip 'mod_natpasv is not built', 4 if !-e "$Server::BUILD/mod_natpasv.so";
  my @natpasv = ('mod_natpasv');
  # A client asks for a listener, is given the old address, cannot get there and
  # asks for another.
  ($seconds) = seconds_until_announced(sub {
    my ($s, $client) = @_;
    my $other = ExtIP::client($s)->login;
    my $begin = time;
    $other->pasv;
    sleep 1.1;    # mod_natpasv does not count one that was given up sooner
    $other->pasv;
    return $begin;
  }, @natpasv);
  cmp_ok($seconds, '<', $soon, 'a passive listener that nobody reached: announced soon');
  note "$seconds s after the listener";

  # SIGHUP replaces the helper and not the sessions; its own round was early, so
  # that the next such may come 10 s later.
  ($seconds) = seconds_until_announced(sub {
    my ($s, $client) = @_;
    my $helper = ExtIP::helper($s);
    my $other = ExtIP::client($s)->login;
    $_->answer($addresses[0]) for @web;
    my $asked = $web[0]->requests;
    my $begin = time;
    $s->hup;
    Net::wait_for(sub { $web[0]->requests > $asked && (ExtIP::helper($s) // $helper) != $helper }) or diag 'no new helper';
    Net::wait_for(sub { report($s)->{round_ended} }, 10) or diag 'no end of its round';
    $_->answer($addresses[1]) for @web;
    $other->pasv;
    sleep 1.1;
    $other->pasv;
    return $begin;
  }, @natpasv);
  cmp_ok($seconds, '<', 10 + $soon, 'the same after a SIGHUP, in a session from before it: with the next early round');
  note "$seconds s after the SIGHUP";
}

done_testing;
