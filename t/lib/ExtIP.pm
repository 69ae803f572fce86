package ExtIP;

# What the tests of mod_extip share: sources that say what they are told, a
# client from outside, and waiting for an address.

use strict;
use warnings;
use Client;
use IO::Select;
use IO::Socket::INET;
use Net;
use Nginx;
use POSIX ();
use Server;
use Time::HiRes qw(sleep time);

# Loopback is local as clients go, so a client that is not needs an address that
# is not. In the private namespace of a test these are nobody else's.
our $outside = '198.51.100.7';
our $bind    = '198.51.100.1';

sub addresses {
  system("ip addr add $_/32 dev lo") == 0 or die "no address $_" for $outside, $bind;
}

# Real web servers on 127.0.0.2, 127.0.0.3 and so on, one an answer.
sub webs {
  my $number = 2;
  return map { Nginx->start(host => '127.0.0.' . $number++, port => 8080, answer => $_) } @_;
}

# A web server whose answers are these, one a request; the last one stays.
sub script {
  my ($host, @answers) = @_;
  my $socket = IO::Socket::INET->new(LocalAddr => $host, LocalPort => 8080, Listen => 20, ReuseAddr => 1)
    or die "script: $!";
  my $pid = fork // die "fork: $!";
  return bless { pid => $pid, host => $host, owner => $$ }, 'ExtIP::Script' if $pid;
  while (my $client = $socket->accept) {
    while (defined(my $line = readline $client)) { last if $line !~ /\S/ }
    my $text = @answers > 1 ? shift @answers : $answers[0];
    print $client "HTTP/1.0 200 OK\r\nContent-Length: @{[length $text]}\r\n\r\n$text";
    close $client;
  }
}
sub ExtIP::Script::uri { return "http://$_[0]{host}:8080/" }
sub ExtIP::Script::DESTROY {
  my ($self) = @_;
  return unless $self->{owner} == $$;
  local $?;
  kill 'KILL', $self->{pid};
  waitpid $self->{pid}, 0;
}

# Servers that accept connections and say nothing, for as long as these live.
sub deaf {
  return map { IO::Socket::INET->new(LocalAddr => $_, LocalPort => 8080, Listen => 20) || die "$_: $!" } @_;
}

# Clients that connect one after the other for SECONDS: how long each waited for
# the greeting, in seconds.
sub waits {
  my ($server, $seconds) = @_;
  my (@open, @waits);
  for (my $end = time + $seconds; time < $end; sleep 0.1) {
    my $begin = time;
    push @open, Client->connect($server->bind, $server->port, timeout => 300);
    push @waits, time - $begin;
  }
  return sort { $a <=> $b } @waits;
}

# What clients wait for when a name server, and all else there is to ask, stops
# to answer: the daemon alone, with mod_extip and with mod_dynmasq, which ask
# every 5 s, side by side. DNS is a BadServer that this process has as resolver.
# Returns the names and the waits of each.
sub beside_dynmasq {
  my ($dns, $seconds) = @_;
  my $name = 'good.example';
  my @deaf = deaf(map { "127.0.1.$_" } 101 .. 104);
  my @sources = ("dns:$name", map { ('http://' . $_->sockhost . ':8080/', 'stun:' . $_->sockhost) } @deaf);
  my $start = sub { Server->start(bind => "127.0.0.$_[0]", port => 2121, modules => $_[1], config => $_[2]) };
  my @servers = (
    ['ProFTPD alone', $start->(101, [], '')],
    ['mod_extip', $start->(102, ['mod_extip'], sub { config($_[0], @sources) . "ExtIPRefresh 5s\n" })],
    ['mod_dynmasq', $start->(103, ['mod_dynmasq'], "MasqueradeAddress $name\nDynMasqRefresh 5\n")],
  );
  system("nft 'add table ip dead; add chain ip dead input { type filter hook input priority 0; };"
    . " add rule ip dead input ip daddr $dns->{host} udp dport 53 drop'") == 0 or die 'no packet filter';
  for (@servers) {
    open $_->[2], '-|' and next;
    print "$_\n" for waits($_->[1], $seconds);
    POSIX::_exit(close STDOUT ? 0 : 1);
  }
  my @rows = map { [$_->[0], map { chomp; $_ } readline $_->[2]] } @servers;
  close $_->[2] for @servers;
  system('nft delete table ip dead');
  return @rows;
}

# Directives: the engine with these sources (web servers or URIs).
sub config {
  my ($server, @sources) = @_;
  return "ExtIPEngine on\nExtIPTable $server->{dir}/state/extip.tab\n"
    . join '', map { 'ExtIPSource ' . (ref $_ ? $_->uri : $_) . "\n" } @sources;
}

# A daemon with mod_extip on the address that clients from outside reach; at
# most one of these runs at a time.
my $running;
sub server {
  my ($sources, $config, %opt) = @_;
  # The server remembered here does not keep web servers alive.
  my @uris = map { ref $_ ? $_->uri : $_ } @$sources;
  $running->stop if $running;
  return $running = Server->start(
    bind => $bind, port => 2121, modules => ['mod_extip'],
    config => sub { config($_[0], @uris) . (ref $config ? $config->($_[0]) : $config // '') }, %opt,
  );
}

# What a server's environment needs for a clock that is RATE times as fast as
# ours, nothing when Debian's faketime is missing. It is one clock for the daemon
# and the programs it starts: that of a process that lives as long as this. Its
# alarm() rounds down, and 0 is none: a daemon whose timers are needed is sent
# SIGALRM by the test.
my $clock;
sub ExtIP::Clock::DESTROY {
  my ($self) = @_;
  return unless $self->{owner} == $$;
  local $?;
  kill 'TERM', $self->{pid} if $self->{pid};
  waitpid $self->{wrapper}, 0;
}
sub fast_clock {
  my ($rate) = @_;
  my ($library) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1' or return;
  if (!$clock) {
    my $pid = fork // die "fork: $!";
    if (!$pid) { open STDERR, '>', '/dev/null'; exec 'faketime', '-m', '-f', "+0 x$rate", 'sleep', 100_000 or POSIX::_exit(127) }
    $clock = bless { owner => $$, wrapper => $pid }, 'ExtIP::Clock';
    $clock->{shared} = Net::wait_for(sub {
      ($clock->{pid}) = Server::children_of($pid);
      return $clock->{pid} && (Server::slurp("/proc/$clock->{pid}/environ") =~ /(?:^|\0)FAKETIME_SHARED=([^\0]+)/)[0];
    }, 10) or die 'no clock';
  }
  return { LD_PRELOAD => $library, FAKETIME => "+0 x$rate", FAKETIME_SHARED => $clock->{shared} };
}

sub client {
  my ($server, $from) = @_;
  return Client->connect($server->bind, $server->port, from => $from // $outside);
}

# The address in the 227, or the reply when there is none.
sub announced { my ($client) = @_; return ($client->pasv)[0] // "$client->{code} $client->{last}" }

sub status { my ($server, @words) = @_; return ($server->ctl('extip', 'status', @words))[1] }

# In the foreground ProFTPD may write a line to both.
sub log { my ($server) = @_; my %seen; return join '', grep { !$seen{$_}++ } map { /(.*\n)/g } $server->stderr, $server->log }

# Waits for the log line of an address; true when it is there.
sub known {
  my ($server, $address, $seconds) = @_;
  return Net::wait_for(sub { ExtIP::log($server) =~ /address is now \Q$address\E,/ }, $seconds // 15);
}

sub helper {
  my ($server) = @_;
  return (grep { Server::slurp("/proc/$_/cmdline") =~ /^extip-helper/ } children($server))[0];
}

# A helper other than the ones given (undef where there was none), which has
# given up its privileges and sleeps: it has told the daemon that it has begun. If
# one does not, the next one is not there at once.
sub next_helper {
  my ($server, $seconds, @not) = @_;
  return Net::wait_for(sub {
    my $pid = helper($server);
    return defined $pid && !(grep { defined && $_ == $pid } @not) && Server::slurp("/proc/$pid/status") =~ /^State:\tS.*^NoNewPrivs:\t1/ms && $pid;
  }, $seconds);
}

# The daemon's own children, zombies too.
sub children { return Server::children_of($_[0]->pid) }
sub zombies { my ($server) = @_; return grep { Server::slurp("/proc/$_/stat") =~ /\) Z/ } children($server) }

sub descriptors { my ($pid) = @_; return scalar(() = glob "/proc/$pid/fd/*") }

# KiB of memory that is no file's.
sub memory { return Server::slurp("/proc/$_[0]/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die "no process $_[0]" }

# A process in which a client asks PASV all the time, and a new one logs in and
# asks after every fifty. To call when it is to end, for how often it was told
# each address.
sub ask_all_the_time {
  my ($server) = @_;
  pipe my $stopped, my $stop or die $!;
  pipe my $report, my $told or die $!;
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    close $stop;
    my (%seen, $n);
    my $client = eval { client($server)->login };
    until (IO::Select->new($stopped)->can_read(0.01)) {
      $seen{ eval { announced($client) } // $@ }++;
      next if ++$n % 50;
      $seen{ eval { announced(client($server)->login) } // $@ }++;
    }
    print $told map { s/\s+/ /gr . "\t$seen{$_}\n" } keys %seen;
    close $told;
    POSIX::_exit(0);
  }
  close $_ for $stopped, $told;
  return sub {
    close $stop;
    my %seen = map { chomp; split /\t/ } <$report>;
    waitpid $pid, 0;
    return %seen;
  };
}

1;
