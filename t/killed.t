# SIGKILL of the helper, of a session with a lease, of the daemon: the address
# stays known, every port comes back, no process is left over.

use strict;
use warnings;
use Net 'private';
use Client;
use Nginx;
use Server;
use Test::More;
use Time::HiRes qw(time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my $web = Nginx->start(answer => '203.0.113.9');
sub config {
  my ($server) = @_;
  return <<"EOC";
ExtIPEngine on
ExtIPTable $server->{dir}/state/extip.tab
ExtIPSource @{[$web->uri]}
ExtIPOptions AllowReserved
NATPasvEngine on
NATPasvTable $server->{dir}/run/natpasv.tab
NATPasvPool public 30000-30003 quarantine 0s
NATPasvRule * pool public address extip wait 0s share any
KeepaliveEngine on
EOC
}

my $server = Server->start(modules => [qw(mod_extip mod_natpasv mod_keepalive)], config => \&config);
sub known { Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /203\.0\.113\.9/ }, 15) }
sub client { Client->connect('127.0.0.1', $server->port)->login }
ok(known(), 'the address is known');

my ($helper) = $server->children;
kill 'KILL', $helper;
my $client = client();
is(($client->pasv)[0], '203.0.113.9', 'announced while the helper is dead');
ok(Net::wait_for(sub { grep { Server::slurp("/proc/$_/stat") !~ /\) Z/ && $_ != $helper } helpers() }, 15),
  'another helper is started');
is(scalar(helpers()), 1, '... and only one');
$client->quit;

# The helper is the daemon's child that serves no client.
sub helpers {
  my %session = map { $_ => 1 } sessions();
  return grep { !$session{$_} && Server::slurp("/proc/$_/stat") !~ /\) Z/ } $server->children;
}
sub sessions {
  my @sessions;
  for my $pid ($server->children) {
    my @sockets = grep { (readlink $_ // '') =~ /^socket:/ } glob "/proc/$pid/fd/[012]";
    push @sessions, $pid if @sockets;
  }
  return @sessions;
}

# All four ports are leased by sessions that are then killed.
my @holders = map { client() } 1 .. 4;
my @ports = map { ($_->pasv)[1] } @holders;
is_deeply([sort { $a <=> $b } @ports], [30000 .. 30003], 'four sessions hold the four ports');
is((client()->cmd('PASV'))[0], 425, 'a fifth gets 425');
my @killed = sessions();
kill 'KILL', @killed;
# With the sanitizers it takes a moment until a process has ended.
Net::wait_for(sub { !grep { Server::slurp("/proc/$_/stat") =~ /\) [^ZX]/ } @killed }, 5);
$client = client();
my $begin = time;
my @granted;
while (@granted < 4 and time - $begin < 5) {
  my ($address, $port) = $client->pasv;
  push @granted, $port if $port and !grep { $_ == $port } @granted;
}
cmp_ok(time - $begin, '<', 2, 'every port of the killed sessions is granted again within 2 s');
is_deeply([sort { $a <=> $b } @granted], [30000 .. 30003], '... all four of them');

# The daemon, with leases held; its source is gone when it starts again.
@holders = map { client() } 1 .. 3;
$_->pasv for @holders;
$web->stop;
my @family = $server->processes;
my @left = $server->stop('KILL');
ok(scalar @left, 'the daemon dies by SIGKILL');
undef $client;
$_->close for @holders;
my $gone = Net::wait_for(sub { !grep { -e "/proc/$_" && Server::slurp("/proc/$_/stat") !~ /\) Z/ } @family }, 5);
ok($gone, 'its helper and the sessions whose clients left are gone within 5 s')
  or diag map { "$_ " . (Server::slurp("/proc/$_/cmdline") =~ tr/\0/ /r) . "\n" } grep { -e "/proc/$_" } @family;
$server->run;
$client = client();
is(($client->pasv)[0], '203.0.113.9', 'started again without its source: the address is still known');
my @more = map { my $c = client(); [$c, $c->pasv] } 1 .. 3;
is(scalar(grep { $_->[2] } @more), 3, 'every port can be leased again');

done_testing;
