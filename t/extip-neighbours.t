#!/usr/bin/perl
# One answer of mod_extip does not wait for another, no client sets the rate at
# which sources are asked, and what a wait was for does not outlast it.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Limits;
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my $bind = $ExtIP::bind;

# Four servers with sources of their own, ExtIPRefresh 2s; the source of one
# accepts connections and says nothing for 30 s.
{
  my @web = ExtIP::webs('9.9.9.9', '9.9.9.9', '9.9.9.9');
  my @deaf = ExtIP::deaf('127.0.0.9');
  my @uris = ('http://127.0.0.9:8080/', map { $_->uri } @web);
  my $server = Server->start(bind => $bind, port => 2121, modules => ['mod_extip'], config => sub {
    my $s = shift;
    return "ExtIPTable $s->{dir}/state/extip.tab\n<Global>\nExtIPEngine on\nExtIPRefresh 2s 1s\nExtIPTimeout 30s\n</Global>\nExtIPSource $uris[0]\n"
      . join '', map { "<VirtualHost $bind>\nServerName n$_\nPort @{[2121 + $_]}\nExtIPSource $uris[$_]\n</VirtualHost>\n" } 1 .. 3;
  });
  ok(Net::wait_for(sub { $web[2]->requests }, 15), 'four servers ask');
  my (@last, @gaps);
  my @count = map { $_->requests } @web;
  for (my $end = time + 12; time < $end; sleep 0.02) {
    for my $i (0 .. $#web) {
      my $now = $web[$i]->requests;
      next if $now == $count[$i];
      push @gaps, time - $last[$i] if $last[$i];
      ($last[$i], $count[$i]) = (time, $now);
    }
  }
  cmp_ok(scalar @gaps, '>=', 12, 'a source of one of them hangs: the others go on');
  cmp_ok(max(@gaps), '<', 2.5 * (1 + Limits::slowness()), '... at most 2.5 s apart');
  note sprintf '%d rounds, at most %.2f s apart', scalar @gaps, max(@gaps);
  $server->stop;
}

# A client that asks for a listener every second and never connects, while the
# address is the right one.
SKIP: {
  skip 'mod_natpasv is not built', 2 if !-e "$Server::BUILD/mod_natpasv.so";
  my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  my $server = ExtIP::server(\@web, sub { <<"EOC" }, modules => ['mod_extip', 'mod_natpasv']);
ExtIPRefresh 5m
NATPasvEngine on
NATPasvPool public 30000-30099
NATPasvRule * pool public address extip
TimeoutIdle 0
TimeoutNoTransfer 0
EOC
  ExtIP::known($server, '9.9.9.9');
  my $client = ExtIP::client($server)->login;
  my $before = $web[0]->requests;
  my $seconds = $ENV{LONG} ? 600 : 32;
  for (my $end = time + $seconds; time < $end; sleep 1.05) { $client->pasv }
  my $rounds = $web[0]->requests - $before;
  my $most = $ENV{LONG} ? 7 : 2;    # with two that are due in ten minutes
  cmp_ok($rounds, '<=', $most, "PASV every second for $seconds s: at most $most rounds");
  cmp_ok($rounds, '>=', 1, '... but one at least');
  note "$rounds rounds";
  $server->stop;
}

# Back-off belongs to a fault that is there.
{
  my @web = ExtIP::webs('9.9.9.9');
  my $server = ExtIP::server(\@web, "ExtIPRefresh 120s 1s\n");
  ExtIP::known($server, '9.9.9.9');
  $web[0]->stop;
  $server->ctl('extip', 'refresh');
  ok(Net::wait_for(sub { (ExtIP::status($server, 'json') =~ /"failures": (\d+)/)[0] >= 4 }, 40), 'a source is away, rounds are further apart');
  my $helper = ExtIP::helper($server);
  $server->hup;
  ExtIP::next_helper($server, 10, $helper);
  ok(Net::wait_for(sub { (ExtIP::status($server, 'json') =~ /"failures": (\d+)/)[0] < 4 }, 20), 'a reload begins the count again');
  @web = ExtIP::webs('8.8.8.8');
  ok(Net::wait_for(sub { ExtIP::log($server) =~ /address is now 8\.8\.8\.8/ }, 8 * (1 + Limits::slowness())), '... so that the source that is back is found at once');
  $server->stop;
}

# What is said of a helper that is not there.
{
  my @web = ExtIP::webs('9.9.9.9');
  my $server = ExtIP::server(\@web, "ExtIPRefresh 5m 1s\n");
  ExtIP::known($server, '9.9.9.9');
  like((($server->ctl('extip', 'refresh'))[1]), qr/^a round begins now/, 'refresh: when the round begins');
  sleep 1.5;
  like((($server->ctl('extip', 'refresh'))[1]), qr/^a round begins in \d s, because the last one on request was less than 10 s ago/, '... or how long it has to wait');
  my $helper = ExtIP::helper($server);
  for (1 .. 4) {
    kill 'KILL', $helper;
    $helper = ExtIP::next_helper($server, 5, $helper);
  }
  like((($server->ctl('extip', 'refresh'))[1]), qr/there is no helper process: the next one begins in \d+ s/, 'no helper: refresh says so');
  like(ExtIP::status($server), qr/^  next round  none: there is no helper process/m, '... and so does status');
  like(ExtIP::status($server, 'json'), qr/"helper": null,/, '... in JSON, too');

  # As a service manager stops a service: all its processes.
  $server->stop;
  $server = ExtIP::server(\@web, "ExtIPRefresh 5m 1s\n");
  ExtIP::known($server, '9.9.9.9');
  kill 'TERM', ExtIP::helper($server);
  sleep 0.5;
  $server->stop;
  unlike(ExtIP::log($server), qr/has ended/, 'SIGTERM for all processes of a service: nobody has died');

  $_->stop for @web;
  $server = ExtIP::server(['http://127.0.0.2:8080/'], "ExtIPRefresh 5m 1s\n");
  ok(Net::wait_for(sub { ExtIP::log($server) =~ /test \(\Q$bind\E:2121\): no decision, no source gave a usable answer/ }, 15),
    'a start with all sources dead: the log names the server and what is the matter');
  $server->stop;
}

# Root that stays root is warned of.
{
  my @web = ExtIP::webs('9.9.9.9');
  my $server = Server->new(bind => $bind, port => 2121, modules => ['mod_extip'], config => sub { ExtIP::config($_[0], @web) });
  $server->write_file('proftpd.conf', Server::slurp($server->conf) =~ s/^User nobody$/User root/mr, 0644);
  $server->run;
  ok(ExtIP::known($server, '9.9.9.9'), 'User root: the address is known');
  like(ExtIP::log($server), qr/User is root, so that the helper process.*configure another User/, '... and the log warns');
  $server->stop;
}

# By hand.
my $helper = "$Server::BUILD/extip-helper";
my @web = ExtIP::webs('9.9.9.9');
like(`$helper ask @{[$web[0]->uri]}`, qr/^ok +9\.9\.9\.9 +\d+ ms  \Qhttp:\/\/127.0.0.2:8080\/\E$/m, 'extip-helper ask: the answer');
is($? >> 8, 0, '... and status 0');
like(`$helper ask stun:127.0.0.66`, qr/^refused +none .*\n +STUN: Connection refused$/m, '... the fault');
is($? >> 8, 1, '... and status 1');
like(`$helper ask nonsense: 2>&1`, qr/^extip-helper: 'nonsense:': unknown source: allowed are stun:/, '... what is no source');
is($? >> 8, 2, '... and status 2');
like(`$helper 2>&1`, qr/^usage: extip-helper ask/, 'without words: the usage');

done_testing;
