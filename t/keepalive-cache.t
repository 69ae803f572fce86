#!/usr/bin/perl
# Tickets cost the server nothing: none of them reaches mod_tls's session cache,
# whichever that is, with SNI and without; no session crashes; and a second
# transfer reuses its session as before, where that is required.
#
# Ten minutes of transfers with LONG, else ten seconds.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use POSIX ();
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $SECONDS = $ENV{LONG} ? 600 : 10;
my $SESSIONS = $ENV{LONG} ? 12 : 3;
my $RATE = 128 << 10;    # ProFTPD 1.3.9 writes more at a time, and sleeps for longer between

my ($memcached) = grep { -x } '/usr/bin/memcached';
my $memcached_port = Net::free_port('127.0.0.1');
my $memcached_pid;
if ($memcached and Server::has_module('mod_tls_memcache')) {
  $memcached_pid = fork // die "fork: $!";
  if ($memcached_pid == 0) {
    exec $memcached, '-u', 'nobody', '-l', '127.0.0.1', '-p', $memcached_port or POSIX::_exit(127);
  }
  Net::wait_port('127.0.0.1', $memcached_port, undef, 10) or die 'memcached does not listen';
}
END { local $?; kill 'TERM', $memcached_pid and waitpid $memcached_pid, 0 if $memcached_pid }

# Name => modules, and what is configured in the directory of the server.
my %cache = (
  shm => [['mod_tls_shmcache'], sub { "TLSSessionCache shm:/file=$_[0]/cache\n" }],
  internal => [[], sub { '' }],
  $memcached_pid ? (memcache => [['mod_memcache', 'mod_tls_memcache'], sub { <<"EOC" }]) : (),
MemcacheEngine on
MemcacheServers 127.0.0.1:$memcached_port
TLSSessionCache memcache:
EOC
);

# What was put into the cache, in its own words. That of OpenSSL itself is each
# session's own. (mod_tls_fscache keeps no sessions.)
sub entries {
  my ($name, $server) = @_;
  return ($server->ctl('tls', 'sesscache', 'info'))[1] =~ /lifetime sessions stored: (\d+)/ ? $1
    : ($server->ctl('tls', 'sesscache', 'info'))[1] if $name eq 'shm';
  return 0 if $name eq 'internal';
  my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $memcached_port) or die $@;
  print $socket "stats\r\nquit\r\n";
  local $/;
  return (<$socket> =~ /STAT curr_items (\d+)/)[0];
}

sub server {
  my ($name, $engine, $sni) = @_;
  my ($modules, $config) = @{ $cache{$name} };
  my $server = Server->start(
    modules => ['mod_tls', @$modules, 'mod_keepalive'],
    config  => sub {
      my ($self) = @_;
      my $tls = Server::tls(options => 'AllowPerUser', protocol => 'TLSv1.3');
      my $common = <<"EOC";
KeepaliveEngine $engine
KeepaliveRule * interval 1s
TransferRate RETR,STOR @{[$RATE / 1024]}
$tls
EOC
      return $config->($self->{dir}) . $common . <<"EOC";
<IfModule mod_tls.c>
TLSControlsACLs all allow user *
</IfModule>
<VirtualHost $self->{bind}>
Port $self->{port}
ServerName other
ServerAlias ftp.example
AuthOrder mod_auth_file.c
AuthUserFile $self->{dir}/passwd
AllowOverwrite on
$common</VirtualHost>
EOC
    },
  );
  $server->file('long', size => $RATE * $SECONDS);
  $server->file('quick', text => 'quick');
  return $server;
}

# A long transfer and a second one, over one control connection.
sub session {
  my ($server, $number, $sni) = @_;
  my $c = Client->connect('127.0.0.1', $server->port, timeout => $SECONDS + 30);
  $c->auth_tls(SSL_hostname => $sni ? 'ftp.example' : '', SSL_version => 'TLSv1_3');
  $c->login;
  $c->cmd('TYPE I');
  my ($code, $text) = $c->retr('long', timeout => $SECONDS + 30);
  return "first: $text" unless ($code // 0) == 226;
  ($code, $text) = $c->retr('quick');
  return "second: $text" unless ($code // 0) == 226;
  $c->quit;
  return 'well';
}

sub run_sessions {
  my ($server, $sni) = @_;
  my @jobs;
  for my $number (1 .. $SESSIONS) {
    pipe my $read, my $write or die;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
      print $write eval { session($server, $number, $sni) } // "died: $@";
      close $write;
      POSIX::_exit(0);
    }
    close $write;
    push @jobs, [$pid, $read];
  }
  return \@jobs;
}

# All of it at the same time.
my @runs;
for my $name (sort keys %cache) {
  for my $sni (0, 1) {
    for my $engine ('off', 'on') {
      next if $name eq 'memcache' and $engine eq 'off';    # there is one memcached
      my $server = server($name, $engine, $sni);
      push @runs, { name => $name, sni => $sni, engine => $engine, server => $server, jobs => run_sessions($server, $sni) };
    }
  }
}

my %stock;
for my $run (@runs) {
  my ($name, $sni, $engine, $server) = @$run{qw(name sni engine server)};
  my $what = "cache $name, " . ($sni ? 'SNI' : 'no SNI') . ", engine $engine";
  my @said = map { my ($pid, $read) = @$_; my $said = <$read>; waitpid $pid, 0; $said } @{ $run->{jobs} };
  is((grep { $_ eq 'well' } @said), $SESSIONS, "$what: all transfers end well, and the second ones reuse their session")
    or diag join "\n", @said;
  my $log = $server->log;
  unlike($log, qr/signal 11|STACK TRACE|terminating \(signal/, '... and no session crashed');
  $run->{entries} = entries($name, $server);
  if ($engine eq 'off') {
    $stock{$name, $sni} = $run->{entries};
    next;
  }
  my ($sent) = ($server->ctl('keepalive', 'status'))[1] =~ /tls (\d+)/;
  cmp_ok($sent, '>', $SESSIONS * $SECONDS / 2, "... $sent tickets were sent");
  # With one memcached for both, what they store on each of their connections,
  # and what mod_memcache has there for itself. On a busy machine a connection of
  # the others may end before all of it is stored.
  my $most = $name eq 'memcache' ? 4 * 2 * $SESSIONS + 8 : $stock{$name, $sni} + $SESSIONS;
  cmp_ok($run->{entries}, '<=', $most, "... and are in no cache: $run->{entries} entries, with the engine off $most");
}

done_testing;
