# Ten times as many sessions as ports, with curl and lftp: all transfers
# succeed, and nobody waits much longer than the others.
#
# A port is taken from the 227 or 229 to the accept, and a client on the same
# machine is back after a moment. A relay on the control connections keeps each
# RETR back for 20 ms: so long is a port in use, at least. How long a session
# waited is told by the server: its time from PASV or EPSV to the reply.
#
# 100 sessions, 10 ports, 5,000 transfers with LONG.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use File::Temp ();
use IO::Select;
use List::Util qw(max sum);
use POSIX ();
use RealClients;
use Server;
use Test::More;
use Time::HiRes qw(time);

use constant HOLD => 0.020;

my $why = Server::unavailable() // RealClients::unavailable('curl') // RealClients::unavailable('lftp');
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

my ($sessions, $ports, $each) = $ENV{SANITIZE} ? (12, 2, 6) : $ENV{LONG} ? (100, 10, 50) : (40, 4, 12);
my $last = 30000 + $ports - 1;

my $server = Server->start(modules => ['mod_natpasv'], config => sub { <<"EOC" });
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool few 30000-$last
NATPasvRule * pool few address local wait 10s
LogFormat waits "%m %R %s"
ExtendedLog $_[0]{dir}/waits MISC waits
EOC
my $text = 'x' x 2000;
$server->file('some', text => $text);

# Takes connections on port 2100 and makes each to the server from the address
# it came from. Ends with the test.
sub relay {
  my $listen = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 2100, Listen => 128, ReuseAddr => 1) or die $@;
  pipe my $leash, my $hand or die $!;
  my $pid = fork // die $!;
  return ($pid, $hand) if $pid;
  close $hand;
  my $set = IO::Select->new($listen, $leash);
  my (%other, %is_client, @held);
  while (1) {
    my $wait = @held ? max(0, $held[0][0] - time) : 10;
    for my $from ($set->can_read($wait)) {
      POSIX::_exit(0) if $from == $leash;
      if ($from == $listen) {
        my $client = $listen->accept or next;
        my $onward = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $server->port, LocalHost => $client->peerhost)
          or die $@;
        $_->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1) for $client, $onward;
        @other{ $client, $onward } = ($onward, $client);
        $is_client{$client} = 1;
        $set->add($client, $onward);
        next;
      }
      my $to = $other{$from} or next;
      if (!sysread $from, my $bytes, 16384) {
        $set->remove($from, $to);
        delete @other{ $from, $to };
        close $_ for $from, $to;
      } elsif ($is_client{$from} and $bytes =~ /^RETR/) {
        push @held, [time + HOLD, $to, $bytes];
      } else {
        syswrite $to, $bytes;
      }
    }
    while (@held and $held[0][0] <= time) {
      my (undef, $to, $bytes) = @{ shift @held };
      syswrite $to, $bytes if fileno $to;
    }
  }
}
my ($relay, $hand) = relay();

# Real clients, half of them curl; of these every other by PASV.
my $dir = File::Temp::tempdir('natpasv-wait-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $url = 'ftp://127.0.0.1:2100/some';
sub script {
  my ($n) = @_;
  my $from = '127.0.1.' . ($n + 1);
  if ($n % 2) {
    my $gets = join '', map { "get some -o $n.$_; " } 1 .. $each;
    return ('lftp', '-e', 'set ftp:ssl-allow no; set net:max-retries 1; set net:timeout 30; set cmd:fail-exit yes; '
      . "set net:socket-bind-ipv4 $from; ${gets}quit", '-u', 'ftp,ftp', 'ftp://127.0.0.1:2100');
  }
  return ('curl', '-sS', '--fail-early', '--ignore-content-length', '--interface', $from, '-u', 'ftp:ftp',
    $n % 4 ? '--disable-epsv' : (), map { ('-o', "$n.$_", $url) } 1 .. $each);
}

my $begin = time;
my %pid;
for my $n (0 .. $sessions - 1) {
  my $pid = fork // die $!;
  if ($pid == 0) {
    chdir $dir;
    @ENV{qw(HOME LC_ALL)} = ($dir, 'C');
    open STDIN,  '<', '/dev/null';
    open STDOUT, '>', "$n.said";
    open STDERR, '>&', \*STDOUT;
    exec script($n) or POSIX::_exit(127);
  }
  $pid{$pid} = $n;
}
my @failed;
while (%pid) {
  my $pid = wait;
  my $n = delete $pid{$pid} // next;
  push @failed, (script($n))[0] . " $n: " . Server::slurp("$dir/$n.said") if $?;
}
my $took = time - $begin;
is_deeply(\@failed, [], "$sessions sessions of curl and lftp end well");

my $files = grep { Server::slurp($_) eq $text } glob "$dir/*.*[0-9]";
my $all = $sessions * $each;
is($files, $all, "... all $all files are whole");

my @asked = map { [split] } grep { /^(?:PASV|EPSV) / } split /\n/, Server::slurp("$server->{dir}/waits");
is(scalar(grep { $_->[2] =~ /^22[79]$/ } @asked), $all, '... each PASV and EPSV had its port');
is(@asked - $all, 0, '... and none was refused or asked twice');
my $status = $server->ctl_json('natpasv', 'status')->{pools}[0];
cmp_ok($status->{waited}, '>', $all / 2, "... after a wait for $status->{waited} of them");

my @waits = sort { $a <=> $b } map { $_->[1] } @asked;
my @decile = @waits[-@waits / 10 .. -1];
my $mean = sum(@decile) / @decile;
my $figures = sprintf '%d transfers in %.1f s, %d failed, %d refused; ms waited: median %d, mean of the last decile %.0f, longest %d: %.2f times',
  $all, $took, $all - $files, $status->{refused}, $waits[@waits / 2], $mean, $waits[-1], $waits[-1] / $mean;
cmp_ok($waits[-1], '<=', 3 * $mean, 'the longest wait is no more than 3 times the mean of the last decile') or diag($figures);
# In any order but theirs the median would be short and the tail long.
cmp_ok($waits[-1], '<=', 5 * $waits[@waits / 2], '... nor 5 times the median: first come, first served') or diag($figures);
$ENV{LONG} ? diag($figures) : note($figures);

close $hand;
waitpid $relay, 0;
done_testing;
