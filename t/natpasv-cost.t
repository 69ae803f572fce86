# What mod_natpasv costs: private memory of a session and of the daemon, and the
# start of the daemon with a pool of 60,000 ports.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use List::Util qw(min sum0);
use POSIX ();
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'the sanitizers cost more than what is measured here' if $ENV{SANITIZE};

my ($starts, $sessions, $times) = $ENV{LONG} ? (5, 20, 101) : (5, 6, 21);
my $most = '5000-64999';

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }
sub mean { return sum0(@_) / @_ }

sub engine {
  my ($pool) = @_;
  return sub { <<"EOC" };
NATPasvEngine on
NATPasvPool public $pool
NATPasvRule * pool public
EOC
}
my %kind = (
  stock  => [[], "PassivePorts 30000 30999\n"],
  loaded => [['mod_natpasv'], "PassivePorts 30000 30999\nNATPasvEngine off\n"],
  engine => [['mod_natpasv'], engine('30000-30999')],
  most   => [['mod_natpasv'], engine($most)],
);

# Pages that only this process has. Not those of the table: it is one for all
# sessions, but what no other has touched yet passes for private in /proc.
sub private_kb {
  my ($pid) = @_;
  my ($shared, $kb) = (0, 0);
  for (split /\n/, Server::slurp("/proc/$pid/smaps")) {
    $shared = $1 eq 's' if /^[0-9a-f]+-[0-9a-f]+ ...(.) /;
    $kb += $1 if !$shared and /^Private_Dirty:\s+(\d+) kB/;
  }
  return $kb;
}

# Of the daemon, and the median over sessions in the same state: transfers both
# ways, the last listener open.
sub daemon_and_session_kb {
  my ($modules, $config) = @{ $kind{ $_[0] } };
  my $server = Server->start(modules => $modules, config => $config, port => 2121);
  # With a session, its pages are shared.
  my ($daemon) = Server::slurp('/proc/' . $server->pid . '/smaps_rollup') =~ /^Private_Dirty:\s+(\d+) kB/m;
  $server->file('some', text => 'x' x 1000);
  my @clients = map { Client->connect('127.0.0.1', $server->port)->login } 1 .. $sessions;
  for my $client (@clients) {
    for (1 .. 3) {
      die 'transfer' unless ($client->retr('some'))[0] == 226 and ($client->retr('some', epsv => 1))[0] == 226;
    }
  }
  # Not before: with 1.3.7a a session may listen on the port of another one, which
  # then gets its data connection.
  for my $client (@clients) {
    $client->pasv;
    $client->cmd('NOOP');    # what comes after the reply is done
  }
  my $kb = median(map { private_kb($_) } $server->children);
  $_->quit for @clients;
  return ($daemon, $kb);
}

# Where the pages of a daemon fall changes from start to start: the mean of several
# of each.
my (%kb, %daemon);
for (1 .. $starts) {
  for my $kind (keys %kind) {
    my ($daemon, $session) = daemon_and_session_kb($kind);
    push @{ $daemon{$kind} }, $daemon;
    push @{ $kb{$kind} },     $session;
  }
}
$_ = mean(@$_) for values %kb, values %daemon;
my $memory = sprintf 'private memory of a session: stock %d KiB; with the module loaded %+d, with the engine on %+d, with a pool of 60,000 ports %+d',
  $kb{stock}, map { $kb{$_} - $kb{stock} } qw(loaded engine most);
cmp_ok($kb{engine} - $kb{stock}, '<', 32, 'a session has less than 32 KiB more for itself than in the stock daemon') or diag($memory);
cmp_ok($kb{most} - $kb{stock}, '<', 32, '... with a pool of 60,000 ports too') or diag($memory);
$ENV{LONG} ? diag($memory) : note($memory);

# The table has room for thousands of sessions, and is touched when they come.
$memory = sprintf 'private memory of the daemon: stock %d KiB; with the module loaded %+d, with the engine on %+d, with a pool of 60,000 ports %+d',
  $daemon{stock}, map { $daemon{$_} - $daemon{stock} } qw(loaded engine most);
cmp_ok($daemon{most} - $daemon{stock}, '<', 150, 'the daemon has less than 150 KiB more than the stock daemon') or diag($memory);
$ENV{LONG} ? diag($memory) : note($memory);

# Milliseconds from the start of the daemon until it listens, and of processor
# time in them. The best of several is what it takes; the rest is what else the
# machine does.
sub started_ms {
  my ($server) = @_;
  my $begin = time;
  my $pid = fork // die $!;
  if ($pid == 0) {
    open STDIN,  '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>&', \*STDOUT;
    exec $server->command('-n') or POSIX::_exit(127);
  }
  my $socket;
  until ($socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->port)) {
    die 'no start' if time - $begin > 10;
    sleep 0.0005;
  }
  my $ms = (time - $begin) * 1000;
  my ($ns) = split ' ', Server::slurp("/proc/$pid/schedstat");
  kill 'TERM', $pid;
  waitpid $pid, 0;
  return ($ms, $ns / 1e6);
}
my %server = map { $_ => Server->new(modules => $kind{$_}[0], config => $kind{$_}[1], port => 2121) } qw(stock most);
my (%ms, %cpu);
for (1 .. $times) {
  for (qw(stock most)) {
    my ($ms, $cpu) = started_ms($server{$_});
    push @{ $ms{$_} },  $ms;
    push @{ $cpu{$_} }, $cpu;
  }
}
$_ = min(@$_) for values %ms, values %cpu;
my $start = sprintf 'start of the daemon until it listens, best of %d: stock %.1f ms (%.1f of processor), with a pool of 60,000 ports %.1f (%.1f)',
  $times, map { ($ms{$_}, $cpu{$_}) } qw(stock most);
cmp_ok($cpu{most} - $cpu{stock}, '<', 25, 'a pool of 60,000 ports takes less than 25 ms of processor until the daemon listens') or diag($start);
cmp_ok($ms{most} - $ms{stock}, '<', 50, '... and delays it by less than 50 ms') or diag($start);
$ENV{LONG} ? diag($start) : note($start);

done_testing;
