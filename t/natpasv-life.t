# Listeners that nobody reached, sessions in the queue, and reloads under live
# sessions.

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
  my ($pool) = @_;
  return sub { <<"EOC" };
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvLog $_[0]{dir}/natpasv.log
NATPasvPool public $pool quarantine 0s
NATPasvRule * pool public wait 10s share any
EOC
}

my $server = Server->start(modules => ['mod_natpasv'], config => config('30000-30001'));
sub client { Client->connect('127.0.0.1', $server->port)->login }
sub unreached { $server->ctl_json('natpasv', 'status')->{pools}[0]{unreached} }

my $client = client();
$client->pasv;
$client->pasv;
$client->quit;
is(unreached(), 0, 'a client that asks again or leaves at once is no evidence');
$client = client();
$client->pasv;
sleep 1.2;
my (undef, $port) = $client->pasv;
is(unreached(), 1, 'a listener held for a second that nobody came to is');
my $data = $client->data('127.0.0.1', $port);
sleep 1.2;
$client->quit;
is(unreached(), 1, 'one that somebody connected to is not');

# Twenty sessions, two ports, each held for 20 ms.
my @workers;
for (1 .. 20) {
  my $pid = open(my $out, '-|') // die $!;
  if ($pid == 0) {
    my $client = client();
    my ($good, $longest) = (0, 0);
    for (1 .. 5) {
      my $begin = time;
      my (undef, $port) = $client->pasv;
      my $took = time - $begin;
      $longest = $took if $took > $longest;
      sleep 0.02;
      my $data = defined $port ? $client->data('127.0.0.1', $port) : undef or next;
      my ($code) = $client->cmd('NLST');
      1 while sysread $data, my $listing, 4096;
      close $data;
      $good++ if $code == 150 and ($client->reply)[0] == 226;
    }
    print "$good $longest\n";
    close STDOUT;
    POSIX::_exit(0) if eval { require POSIX };
  }
  push @workers, $out;
}
my ($good, $longest) = (0, 0);
for (@workers) {
  my ($its, $wait) = split ' ', <$_>;
  $good += $its;
  $longest = $wait if $wait > $longest;
}
is($good, 100, 'twenty sessions transfer 100 files through two ports');
cmp_ok($longest, '<', Limits::of(1), sprintf 'the longest wait was %.2f s', $longest);

# Reloads: other pools under a live session, nothing left in the daemon.
$client = client();
(undef, $port) = $client->pasv;
sub fds  { my @f = glob "/proc/@{[$server->pid]}/fd/*"; return scalar @f }
sub maps { my @m = grep { /natpasv/ && !/\.profraw$/ } split /\n/, Server::slurp("/proc/@{[$server->pid]}/maps"); return scalar @m }
my $reloads = 0;
sub reload {
  my ($pool) = @_;
  $server->reconfigure(config($pool));
  $server->hup;
  my ($first) = $pool =~ /^(\d+)/;
  $reloads++ if Net::wait_for(sub {
    my $client = eval { client() } or return 0;
    my (undef, $port) = $client->pasv;
    $client->close;
    return $port && $port >= $first && $port <= $first + 9;
  }, 10);
}
reload('31000-31009');
my ($fds, $maps) = (fds(), maps());
for my $i (1 .. ($ENV{LONG} ? 50 : 10)) {
  reload(32000 + 10 * $i . '-' . (32009 + 10 * $i));
}
is($reloads, $ENV{LONG} ? 51 : 11, 'after each SIGHUP new clients have ports of the new pool');
# The daemon has a pipe to each session until that has begun.
ok(Net::wait_for(sub { fds() <= $fds }), '... no descriptor is left over in the daemon') or diag fds(), " and not $fds";
ok(Net::wait_for(sub { maps() <= $maps }), '... and no mapping') or diag maps(), " and not $maps";
$data = $client->data('127.0.0.1', $port);
is(($client->cmd('NLST'))[0], 150, 'a listener from before is still served');
$client->close;

done_testing;
