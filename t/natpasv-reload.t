# SIGHUP while transfers run, with pools that shrink, grow, move, change their
# name or go away: sessions of before finish, those of after follow the new
# pool, no port is of two sessions, and all leases come back. A thousand reloads
# with LONG.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

sub config {
  my ($pool, $admin) = @_;
  return sub { "ServerAdmin $admin\nNATPasvEngine on\nUseSendfile off\n$pool" };
}

sub pool {
  my ($name, $ports) = @_;
  return "NATPasvPool $name $ports quarantine 0s\nNATPasvRule * pool $name wait 1s share any\n";
}

# What is configured one after the other, and the ports of it: at least seven,
# for so many of each may be taken at once.
my @steps = (
  ['shrunk',       pool('public', '30000-30006'), 30000 .. 30006],
  ['grown',        pool('public', '30000-30019'), 30000 .. 30019],
  ['moved',        pool('public', '30015-30029'), 30015 .. 30029],
  ['renamed',      pool('world',  '30015-30029'), 30015 .. 30029],
  ['split',        pool('world',  '30015-30022') . "NATPasvPool rest 30023-30029\n", 30015 .. 30022],
  ['external',     "NATPasvPool world 30015-30024 external 40015 quarantine 0s\nNATPasvRule * pool world share any\n", 30015 .. 30024],
  ['gone, and PassivePorts instead', "PassivePorts 30020 30029\nNATPasvRule * share any\n", 30020 .. 30029],
  ['there again',  pool('public', '30000-30009'), 30000 .. 30009],
);
my $size = 32 << 20;    # more than socket buffers hold

my $server = Server->start(modules => ['mod_natpasv'], config => config(pool('public', '30000-30009'), 'first'));
$server->file('big', size => $size);
sub client { my $client = Client->connect('127.0.0.1', $server->port)->login; $client->cmd('TYPE I'); return $client }

# The port as it is listened on.
sub ask {
  my ($client, $epsv) = @_;
  my (undef, $port) = $epsv ? $client->epsv : $client->pasv;
  $port -= 10000 if $port and $port >= 40000;
  return $port;
}

# Ports that the table says are leased.
sub leases { return [($server->ctl('natpasv', 'leases'))[1] =~ /^ *(300\d\d) /mg] }

# Clients, the last of them the first of the new configuration.
my $reloads = 0;
sub reload {
  my ($name, $pool) = @_;
  my $mark = 'no.' . ++$reloads;
  $server->reconfigure(config($pool, $mark));
  $server->hup;
  my @clients;
  Net::wait_for(sub {
    push @clients, eval { client() } // return;
    return ($clients[-1]->cmd('HELP'))[1] =~ /Direct comments to \Q$mark\E/;
  }, 10) or fail("$name: no new session");
  return @clients;
}

my %ports = map { $_ => 1 } 30000 .. 30009;    # of the pool that is configured
my ($finished, $running, @strays, @twice) = (0, 0);
for my $round (1 .. ($ENV{LONG} ? 25 : 1)) {
  for my $step (@steps) {
    my ($name, $config, @now) = @$step;

    # Two transfers run, one session has a port, one has none yet.
    my @old = map { client() } 1 .. 4;
    my @data;
    for my $client (@old[0, 1]) {
      my $port = ask($client);
      push @data, $client->data('127.0.0.1', $port);
      $client->cmd('RETR big');
    }
    my $held = ask($old[2], 1);
    my %new = map { $_ => 1 } @now;
    for (1 .. ($ENV{LONG} ? 4 : 0)) {
      my ($other, $pool, @ports) = @{ $steps[$reloads % @steps] };
      my @clients = reload($other, $pool);
      my $port = ask($clients[-1]) // 0;
      push @strays, "$other: $port" unless grep { $port == $_ } @ports;
      push @twice, "$other: $port" if $port == $held;
      $_->close for @clients;
    }
    my @clients = reload($name, $config);

    # Who had a port or a transfer has it still, and both go on.
    push @clients, map { client() } 1 .. 2;
    my %holder = ($held => 1);
    for my $client (@clients[-3 .. -1], $old[3]) {
      my $port = ask($client) or next;
      push @twice, "$name: $port" if $holder{$port};
      $holder{$port} = 1;
      my $mine = $client == $old[3] ? \%ports : \%new;
      push @strays, "$name: $port" unless $mine->{$port};
    }
    my $late = $old[2]->data('127.0.0.1', $held, 3) or fail("$name: a listener of before is not there");
    $old[2]->cmd('RETR big');
    delete $holder{$held};
    for ([$data[0], $old[0]], [$data[1], $old[1]], [$late, $old[2]]) {
      my ($data, $client) = @$_;
      my $got = 0;
      while (my $more = sysread $data, my $bytes, 1 << 20) { $got += $more }
      close $data;
      my ($code) = $client->reply;
      $finished++ if ($code // 0) == 226 and $got == $size;
      $running++;
      my $port = ask($client) // 0;
      push @strays, "$name: $port after it" unless $ports{$port};
      push @twice, "$name: $port after it" if $holder{$port};
      $holder{$port} = 1;
    }
    $_->close for splice(@old), splice(@clients);
    ok(Net::wait_for(sub { !@{ leases() } }, 5), "$name: all leases come back") or diag(explain(leases()));

    # ... to be granted: as many sessions as ports.
    %ports = %new;
    my @all = map { client() } 1 .. (@now < 10 ? @now : 10);
    my %port = map { (ask($_) // 0) => 1 } @all;
    is(scalar(grep { $new{$_} } keys %port), scalar @all, '... and can be granted');
    $_->close for splice @all;
    Net::wait_for(sub { !@{ leases() } }, 5);
  }
}
is($finished, $running, "$reloads reloads: $running transfers that began before a SIGHUP or had their port before it are finished");
is("@strays", '', 'new sessions follow the new pool, old ones theirs');
is("@twice", '', 'no port is of two sessions');
unlike($server->log, qr/STACK TRACE|was damaged/, 'nothing crashed');

done_testing;
