# Where the leases are: in memory unless a file is named; a file that is no table
# is left as it is, by proftpd -t as well; daemons that share a file keep out of
# each other's way, but not behind each other's queues.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

sub config {
  my ($table, $pool, $rule) = @_;
  return sub { <<"EOC" };
NATPasvEngine on
@{[$table ? "NATPasvTable $table" : '']}
NATPasvPool public @{[$pool // '30000-30002']} quarantine 0s
NATPasvRule * pool public share any @{[$rule // 'wait 0s']}
NATPasvLog $_[0]{dir}/natpasv.log
EOC
}
sub client { my ($server, $from) = @_; return Client->connect('127.0.0.1', $server->port, from => $from // '127.0.0.1')->login }
sub files { my ($server) = @_; return join ' ', grep { /natpasv\.tab/ } glob "$server->{dir}/run/*" }

my $server = Server->start(modules => ['mod_natpasv'], config => config());
my $client = client($server);
my (undef, $port) = $client->pasv;
ok($port, 'without NATPasvTable there is a port');
is(files($server), '', '... and no file');
my @maps = map { join '', grep { /mod_natpasv/ } split /^/, Server::slurp("/proc/$_/maps") } $server->pid, $server->children;
is(scalar(grep { /^\S+ rw-s .*memfd:mod_natpasv\.memory/ } @maps), 2, '... but memory that the daemon and its session share');

# It is kept over reloads, and made once.
my @kept = map { readlink($_) // '' } glob "/proc/@{[$server->pid]}/fd/*";
for my $n (1 .. 3) {
  $server->hup;
  Net::wait_for(sub { eval { ($server->ctl('natpasv', 'status', 'json'))[1] =~ /public/ } }, 10);
}
is($server->ctl_json('natpasv', 'status')->{pools}[0]{leased}, 1, 'after three reloads the lease is there');
is(scalar(grep { /memfd:mod_natpasv/ } map { readlink($_) // '' } glob "/proc/@{[$server->pid]}/fd/*"),
  scalar(grep { /memfd:mod_natpasv/ } @kept), '... in the same memory');
my %port = map { (client($server)->pasv)[1] // 0, 1 } 1 .. 2;
ok(!$port{$port} && !$port{0}, '... and is not given to others');
$server->stop;

# Files that are no tables.
my %text = ('a configuration file' => "ServerName \"My server\"\n\n\n", 'an empty file' => '', 'a longer file' => 'x' x 3_000_000);
for my $kind (sort keys %text) {
  my $victim = Server->new(modules => ['mod_natpasv'], config => sub { config("$_[0]{dir}/run/victim")->($_[0]) });
  my $path = "$victim->{dir}/run/victim";
  my $write = sub { open my $file, '>', $path or die $!; print $file $text{$kind}; close $file };
  $write->();
  chmod 0600, $path;
  system(join(' ', map { quotemeta } $victim->command('-t')) . ' >/dev/null 2>&1');
  ok(Server::slurp($path) eq $text{$kind}, "$kind is as it was after proftpd -t");
  $victim->run;
  my ($code, $said) = client($victim)->cmd('PASV');
  is($said, '425 Unable to build data connection: the table of leases is not available', '... PASV is refused');
  ok(Server::slurp($path) eq $text{$kind}, '... and it is as it was');
  like($victim->log . Server::slurp("$victim->{dir}/natpasv.log"), qr/error opening NATPasvTable '\S+victim': it is not a table of this module; it is left as it is/,
    '... which the log says');
  $victim->stop;
}

# A directory where others may write.
my $open = Server->new(modules => ['mod_natpasv'], config => sub { config("$_[0]{dir}/open/natpasv.tab")->($_[0]) });
mkdir "$open->{dir}/open";
chmod 0777, "$open->{dir}/open";
$open->run;
is((client($open)->cmd('PASV'))[0], 425, 'a table in a directory where others may write is refused');
like($open->log, qr/its directory is writable by others/, '... which the log says');
$open->stop;

# One that was left by another version.
my $old = Server->new(modules => ['mod_natpasv'], config => sub { config("$_[0]{dir}/run/natpasv.tab")->($_[0]) });
my $path = "$old->{dir}/run/natpasv.tab";
open my $file, '>:raw', $path or die $!;
print $file "\1VSAPTAN", "\1" x 1_100_000;
close $file;
chmod 0600, $path;
$old->run;
ok((client($old)->pasv)[1], 'a table of another version that nobody uses is replaced at start');
$old->stop;

# Two daemons with one table and some ports in common.
my $first = Server->start(modules => ['mod_natpasv'], config => sub { config("$_[0]{dir}/run/natpasv.tab")->($_[0]) }, port => 4021);
my $table = "$first->{dir}/run/natpasv.tab";
my $second = Server->start(modules => ['mod_natpasv'], config => config($table, '30002-30004'), port => 4022);
my (%got, @all);
for my $n (1 .. 6) {
  push @all, client($n % 2 ? $first : $second);
  $got{ ($all[-1]->pasv)[1] // 'none' }++;
}
is_deeply(\%got, { none => 1, map { $_ => 1 } 30000 .. 30004 }, 'two daemons share a table: no port is of two sessions');
my $third = Server->start(modules => ['mod_natpasv'], config => config($table, '31000-31002'), port => 4023);
my $waits = Server->start(modules => ['mod_natpasv'], config => config($table, '30002-30004', 'wait 30s'), port => 4024);
my $waiting = client($waits);
$waiting->send('PASV');
ok(Net::wait_for(sub { `$Server::BUILD/tools/natpasv-waiting $table` == 1 }, 10), 'a session waits for a port of a pool');
is(scalar(grep { (client($third)->pasv)[1] } 1 .. 3), 3, 'the equally named pool of another daemon does not wait behind it');
$_->close for @all;
is(($waiting->reply)[0], 227, '... and what one daemon gives back goes to who waits at another');
$_->stop for $first, $second, $third, $waits;

my ($status, $output) = Server->configtest(modules => ['mod_natpasv'], config => "ServerType inetd\nNATPasvEngine on\nPassivePorts 30000 30009\nNATPasvTable none\n");
ok($status != 0 && $output =~ /NATPasvTable none: sessions of inetd share no memory: name a file/, 'inetd needs a file') or diag $output;

done_testing;
