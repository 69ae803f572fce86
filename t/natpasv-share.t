# A crowd at a pool: no client address drains it, client addresses take turns in
# the queue, and the queue belongs to the ports, whatever the pool is called.

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

my ($greedy, $ports) = $ENV{SANITIZE} || !$ENV{LONG} ? (24, 20) : (99, 100);
my $half = $ports / 2;

my $marks = 0;

sub config {
  my ($name, $range, $rule) = @_;
  $marks++;
  return sub { <<"EOC" };
ServerAdmin no.$marks
<Class many>
From 127.0.8.0/24
</Class>
NATPasvEngine on
NATPasvPool $name $range quarantine 0s
NATPasvRule * pool $name $rule
NATPasvRule many pool $name $rule share any
MaxInstances none
EOC
}

my $server = Server->start(modules => ['mod_natpasv'], config => config('public', '30000-' . (30000 + $ports - 1), 'wait 0s'));
sub client { Client->connect('127.0.0.1', $server->port, from => $_[0])->login }

# Not while the daemon reads its configuration.
sub status {
  my $status;
  Net::wait_for(sub { $status = eval { $server->ctl_json('natpasv', 'status')->{pools}[0] } }, 10);
  return $status;
}

# Until a session sees the new configuration.
sub reload {
  $server->reconfigure(config(@_));
  $server->hup;
  return Net::wait_for(sub {
    my $client = eval { client('127.0.7.1') } or return;
    my ($code, $text) = $client->cmd('HELP');
    $client->close;
    return $text =~ /Direct comments to no\.$marks\b/;
  }, 20);
}

# One address takes what it can get.
my @greedy = map { client('127.0.0.9') } 1 .. $greedy;
my $got = grep { ($_->pasv)[1] } @greedy;
is($got, $half, "$greedy sessions of one address ask: they have $got of $ports ports");
my ($code, $text) = $greedy[-1]->cmd('EPSV');
is($text, "425 Unable to build data connection: no further port of pool 'public' for this client: it has $half of $ports, and the last $half are kept for others",
  '... and the others are told why');
my $new = $half - 1;
my $found = grep { my $client = client("127.0.1.$_"); push @greedy, $client; ($client->pasv)[1] } 1 .. $new;
is($found, $new, "$new newcomers have a port each, at once");
my $many = client('127.0.8.1');
ok(($many->pasv)[1], "the class with 'share any' has the last one");
is(status()->{leased}, $ports, 'all ports are leased');

# What killed sessions had is no longer their client's.
my %before = map { $_ => 1 } $server->children;
kill 'KILL', keys %before;
$_->close for @greedy, $many;
@greedy = map { client('127.0.0.9') } 1 .. $half;
is(scalar(grep { ($_->pasv)[1] } @greedy), $half, 'all sessions are killed: the same client has half of the ports again');
$_->leave for splice @greedy;

# Turns: two ports are held, one address waits with many sessions, another one
# with one.
ok(reload('turns', '31000-31001', 'wait 20s'), 'a reload to a pool of two ports');
my @holders = map { client("127.0.2.$_") } 1, 2;
$_->pasv for @holders;
@greedy = map { client('127.0.0.9') } 1 .. 12;
for my $n (1 .. 12) {
  $greedy[$n - 1]->send('PASV');
}
ok(Net::wait_for(sub { status()->{waiting} == 12 }, 10), 'twelve sessions of one address wait for two ports');
my $one = client('127.0.0.7');
$one->send('PASV');
ok(Net::wait_for(sub { status()->{waiting} == 13 }, 10), '... and one of another address');
# The port is given back again and again, until it is the other's.
my $turns = 0;
my $holder = $holders[-1];
while ($turns < 12) {
  $holder->leave;
  $turns++;
  my ($next) = Net::wait_for(sub {
    for my $client ($one, @greedy) {
      my $bits = '';
      vec($bits, fileno $client->{socket}, 1) = 1;
      return $client if select $bits, undef, undef, 0;
    }
    return;
  }, 10) or last;
  $holder = $next;
  ($code) = $holder->reply;
  last if $holder == $one;
  @greedy = grep { $_ != $holder } @greedy;
}
ok($holder == $one && $turns <= 2, "... which has a port after $turns turns");
$_->leave for @greedy, @holders[0 .. $#holders - 1], $one;

# A reload to other ports under the same name, while sessions wait for the old
# ones: who comes then does not wait behind them.
ok(reload('turns', '32000', 'wait 60s'), 'a reload to a pool of one');
my $owner = client('127.0.3.1');
$owner->pasv;
my @old = map { client("127.0.4.$_") } 1 .. 3;
$_->send('PASV') for @old;
ok(Net::wait_for(sub { status()->{waiting} == 3 }, 10), 'three sessions wait for the only port of a pool');
ok(reload('turns', '33000-33004', 'wait 0s'), '... which has other ports after a reload');
cmp_ok((client('127.0.5.1')->pasv)[1] // 0, '>=', 33000, '... and who comes then has one at once');
is(status()->{refused}, 0, '... and nobody was refused there');
$owner->leave;
# Whichever of the three asked first.
my ($first) = Net::wait_for(sub {
  for my $client (@old) {
    my $bits = '';
    vec($bits, fileno $client->{socket}, 1) = 1;
    return $client if select $bits, undef, undef, 0;
  }
  return;
}, 10);
is(($first ? $first->reply : ())[0], 227, 'the port of before goes to who waited for it');
my $granted = status()->{granted};
reload('renamed', '33000-33004', 'wait 0s');
ok(status()->{pool} eq 'renamed' && status()->{granted} == $granted, 'counters are those of the ports, whatever the pool is called');
unlike($server->log, qr/STACK TRACE/, 'nothing crashed');

# With share any, one address may have all: 1,000 ports with LONG.
{
  my $count = $ENV{LONG} ? 1000 : 40;
  system('prlimit', "--pid=$$", '--nofile=4096') == 0 or die 'prlimit';
  my $server = Server->start(modules => ['mod_natpasv'], config => config('crowd', '20000-' . (19_999 + $count), 'wait 0s'));
  my @clients = map { Client->connect('127.0.0.1', $server->port, from => '127.0.8.1')->login } 0 .. $count;
  my $last = pop @clients;
  my %port = map { $_ => 1 } grep { defined } map { scalar $_->epsv } @clients;
  is(scalar keys %port, $count, "$count sessions of one address with 'share any' have a port each");
  like((join ' ', $last->cmd('EPSV')), qr/^425 .*no free port in pool 'crowd' \($count of $count in use\)/, '... and one more is refused when none is free');
}

# A subscriber has a whole IPv6 network, whose addresses are one client.
SKIP: {
  my ($address, $one, $other) = ('2001:db8:1::5', '2001:db8:2', '2001:db8:3');
  skip 'no IPv6 here', 3
    if grep { system("ip -6 addr add $_/128 dev lo nodad 2>/dev/null") } $address, "${other}::1", map { "${one}::$_" } 1 .. 6;
  my $six = Server->start(modules => ['mod_natpasv'], bind => $address, base => '',
    config => sub { <<"EOC" });
User nobody
Group nogroup
AuthOrder mod_auth_file.c
RequireValidShell off
DefaultAddress $address
SocketBindTight on
Port $_[0]{port}
NATPasvEngine on
NATPasvPool six 31000-31005
NATPasvRule * pool six wait 0s
EOC
  my @all = map { Client->connect($address, $six->port, from => "${one}::$_")->login } 1 .. 6;
  is(scalar(grep { ($_->cmd('EPSV'))[0] == 229 } @all), 3, 'six addresses of one IPv6 network have half of the ports');
  like(($all[5]->cmd('EPSV'))[1], qr/kept for others/, '... and are told why');
  is((Client->connect($address, $six->port, from => "${other}::1")->login->cmd('EPSV'))[0], 229, '... and another network has a port');
}

done_testing;
