#!/usr/bin/perl
# What a reload of mod_extip's configuration ends and what it keeps: one helper at
# a time, whatever clients do that have not got their greeting; and the address,
# however the configuration names and groups its servers. With LONG 200 reloads.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use File::Temp ();
use IO::Socket::INET;
use Limits;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my $bind = $ExtIP::bind;
sub helpers { my ($server) = @_; return grep { Server::slurp("/proc/$_/cmdline") =~ /^extip-helper/ } $server->children }

# Four servers, three of which have sources of their own.
sub four {
  my ($s, $web) = @_;
  my $vhosts = join '', map { <<"EOC" } 1 .. 3;
<VirtualHost $bind>
ServerName other-$_
Port @{[2121 + $_]}
ExtIPEngine on
ExtIPRefresh ${_}0m 1s
ExtIPSource @{[$web->uri]}
</VirtualHost>
EOC
  return ExtIP::config($s, $web) . "ExtIPRefresh 5m 1s\n" . Server::tls(options => 'UseImplicitSSL NoSessionReuseRequired') . $vhosts;
}

SKIP: {
  skip 'mod_tls (Debian package proftpd-mod-crypto) is missing', 1 unless Server::has_module('mod_tls');
  my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  # A session initialises the module that was loaded last first: mod_tls waits
  # for its client before mod_extip has let go of anything.
  my $server = Server->start(bind => $bind, port => 2121, modules => ['mod_extip', 'mod_tls'], config => sub { four($_[0], $web[0]) });
  ok(ExtIP::known($server, '9.9.9.9'), 'four servers, implicit TLS: the address is known');
  my ($times, $slowest, @stalled, $before) = ($ENV{LONG} ? 200 : 6, 0);
  for my $n (1 .. $times) {
    push @stalled, IO::Socket::INET->new(PeerAddr => "$bind:2121") or die $!;
    ok(Net::wait_for(sub { (() = grep { Server::slurp("/proc/$_/cmdline") !~ /extip-helper/ } $server->children) >= @stalled }, 10),
      'a client stalls in its greeting') or last;
    my $now = $web[$n % 2];
    my $asked = $now->requests;
    $server->reconfigure(sub { four($_[0], $now) });
    my $begin = time;
    $server->hup;
    Net::wait_for(sub { $now->requests > $asked }, 20) or last;
    $slowest = time - $begin if time - $begin > $slowest;
    $before = $server->belongings if $n == 2;
  }
  my $after = $server->belongings;
  $_->blocking(0) for @stalled;
  my $lost = grep { my $got = sysread $_, my $byte, 1; defined $got && !$got } @stalled;
  cmp_ok($slowest, '<', 2 * (1 + Limits::slowness()), "$times reloads, each time a client stalls: the new source is asked within 2 s");
  note sprintf '%.2f s at most', $slowest;
  ok(Net::wait_for(sub { helpers($server) == 1 }, 5), '... one helper is left') or diag join ' ', helpers($server);
  is_deeply($after, $before, '... with as many descriptors and mappings') or diag explain [$before, $after];
  is($lost, 0, '... and no session was lost');
  my $old = $web[($times + 1) % 2];
  my $asked = $old->requests;
  $server->ctl('extip', 'refresh');
  sleep 1;
  is($old->requests, $asked, '... nobody asks the source from before');
  $server->stop;
}

# The names and groups of servers. Nobody answers after the first round, so that
# what is announced is what was kept.
sub host { my ($port, $name, $more) = @_; return "<VirtualHost $bind>\nServerName \"$name\"\nPort $port\nExtIPEngine on\n$more</VirtualHost>\n" }

for my $case (
  ['another ServerName', sub { host(2122, 'one', $_[0]) }, sub { host(2122, 'another', $_[0]) }, 2122],
  ['split: a quorum of its own', sub { $_[0] . host(2122, 'one', $_[0]) }, sub { $_[0] . host(2122, 'one', "$_[0]ExtIPTimeout 2s\n") }, 2122],
  ['split: sources of its own', sub { $_[0] . host(2122, 'one', $_[0]) }, sub { $_[0] . host(2122, 'one', "$_[0]ExtIPSource stun:127.0.0.77\n") }, 2122],
  ['merged', sub { $_[0] . host(2122, 'one', "$_[0]ExtIPTimeout 2s\n") }, sub { $_[0] . host(2122, 'one', $_[0]) }, 2122],
) {
  my ($name, $first, $then, $port) = @$case;
  my @web = ExtIP::webs('9.9.9.9');
  my $sources = 'ExtIPSource ' . $web[0]->uri . "\n";
  my $config = sub { my ($how) = @_; return sub { "<Global>\nAuthUserFile $_[0]{dir}/passwd\nRequireValidShell off\n</Global>\nExtIPTable $_[0]{dir}/state/extip.tab\nExtIPEngine on\nExtIPRefresh 5m 1s\n" . $how->($sources) } };
  my $server = Server->start(bind => $bind, port => 2121, modules => ['mod_extip'], config => $config->($first));
  my $client = sub { Client->connect($bind, $port, from => $ExtIP::outside)->login };
  my $before = $client->();
  ok(Net::wait_for(sub { ExtIP::announced($before) eq '9.9.9.9' }, 15), "$name: the address is known");
  $_->stop for @web;
  my $helper = ExtIP::helper($server);
  $server->reconfigure($config->($then));
  $server->hup;
  ExtIP::next_helper($server, 10, $helper) or diag 'no other helper';
  is(ExtIP::announced($client->()), '9.9.9.9', '... a new session announces it');
  is(ExtIP::announced($before), '9.9.9.9', '... and the one from before');
  @web = ExtIP::webs('8.8.8.8');
  $server->ctl('extip', 'refresh');
  ok(Net::wait_for(sub { ExtIP::announced($before) eq '8.8.8.8' }, 15), '... which follows the next change');
  $server->stop;
}

# A round that a reload cuts off is no round that failed.
{
  my @deaf = ExtIP::deaf('127.0.0.9');
  my $server = ExtIP::server(['http://127.0.0.9:8080/'], "ExtIPTimeout 20s\nExtIPRefresh 5m 1s\n");
  for (1 .. 3) {
    my $helper = ExtIP::helper($server);
    $server->hup;
    ExtIP::next_helper($server, 10, $helper);
    sleep 0.3;
  }
  like(ExtIP::status($server, 'json'), qr/"failures": 0,/, 'reloads in the middle of rounds are no failures');
  unlike(ExtIP::log($server), qr/no decision|has ended/, '... and nothing to complain about');
  $server->stop;
}

# Between fork and exec the next helper is a copy of the daemon, which would end
# all sessions when it is told to end itself.
{
  my @web = ExtIP::webs('9.9.9.9');
  my $hold = File::Temp::tempdir(CLEANUP => 1) . '/hold';
  my $server = ExtIP::server(\@web, '', modules => ['mod_extip', 'mod_held_fork'], env => { HOLD_FORKS => $hold });
  my $client = ExtIP::client($server)->login;
  my $helper = ExtIP::helper($server);
  my %before = map { $_ => 1 } ExtIP::children($server);
  open my $file, '>', $hold or die "$hold: $!";
  $server->hup;
  my $copy;
  ok(Net::wait_for(sub { ($copy) = grep { !$before{$_} } ExtIP::children($server); $copy }, 10), 'a reload, whose helper is slow to begin');
  $server->hup;
  # SIGTERM is number 15.
  ok(Net::wait_for(sub { hex((Server::slurp("/proc/$copy/status") =~ /^ShdPnd:\s*(\w+)/m)[0] // 0) & 1 << 14 }, 10),
    '... and another one, which ends that helper');
  unlink $hold;
  ok(ExtIP::next_helper($server, 10, $helper), '... there is a helper again');
  ok(Net::wait_for(sub { !kill 0, $copy }, 10), '... the slow one has ended');
  is(($client->cmd('NOOP'))[0] // 'nothing', 200, '... and a session from before goes on') or diag ExtIP::log($server);

  # So is a session, for as long as it has not begun.
  $helper = ExtIP::helper($server);
  %before = map { $_ => 1 } ExtIP::children($server);
  open $file, '>', $hold or die "$hold: $!";
  my $socket = IO::Socket::INET->new(PeerAddr => "$bind:2121") or die $!;
  ok(Net::wait_for(sub { ($copy) = grep { !$before{$_} } ExtIP::children($server); $copy }, 10), 'a session that is slow to begin');
  kill 'STOP', $server->pid;
  kill 'KILL', $helper;
  Net::wait_for(sub { ExtIP::zombies($server) }, 10) or diag 'the helper lives';
  kill 'USR2', $copy;
  unlink $hold;
  like(readline($socket), qr/^220/, '... and has a signal for the daemon, whose helper has died: it greets its client');
  is(join(' ', Server::children_of($copy)), '', '... and starts no helper of its own');
  kill 'CONT', $server->pid;
  ok(ExtIP::next_helper($server, 10, $helper), '... which is for the daemon to do');
  $server->stop;
}

# A helper that ends before the daemon has come back from fork() is missed, too.
{
  my @web = ExtIP::webs('9.9.9.9');
  my $hold = File::Temp::tempdir(CLEANUP => 1) . '/hold';
  my $server = ExtIP::server(\@web, '', modules => ['mod_extip', 'mod_held_fork'], env => { HOLD_PARENTS => $hold });
  my $first = ExtIP::next_helper($server, 10);
  open my $file, '>', $hold or die "$hold: $!";
  kill 'KILL', $first;
  my $short = ExtIP::next_helper($server, 10, $first);
  ok($short, 'the daemon starts another helper, and is slow to go on');
  kill 'KILL', $short;
  ok(Net::wait_for(sub { grep { $_ == $short } ExtIP::zombies($server) }, 10), '... which has ended before');
  unlink $hold;
  ok(ExtIP::next_helper($server, 10, $first, $short), '... and is followed by one more') or diag ExtIP::log($server);
}

done_testing;
