#!/usr/bin/perl
# The private memory that the engine costs a session, against the engine off,
# and the daemon, against one without the module.
#
# The whole price, against a daemon without the module, is printed besides: one page for the module's own variables and one or two of the
# heap, where what ProFTPD keeps of a module moves other things to pages that
# sessions write to.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use List::Util qw(sum0);
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'memory is not the module\'s own under the sanitizers' if $ENV{SANITIZE};

my $SESSIONS = 6;

# What has been written to. Pages of program files are shared by all that run them.
sub private_bytes {
  my ($pid) = @_;
  my @private = Server::slurp("/proc/$pid/smaps_rollup") =~ /^Private_Dirty:\s+(\d+) kB/mg;
  return 1024 * sum0 @private;
}

# The median over sessions that have had a transfer.
sub of_sessions {
  my ($server, $port) = @_;
  my @clients = map { Client->connect('127.0.0.1', $port)->auth_tls->login } 1 .. $SESSIONS;
  for my $c (@clients) {
    die 'transfer' unless ($c->retr('some'))[0] == 226;
  }
  my $bytes = median(map { private_bytes($_) } $server->children);
  $_->leave for @clients;
  Net::wait_for(sub { !$server->children }, 10);
  return $bytes;
}

# A daemon with two servers, CONFIG in the first.
my $other_port = Net::free_port('127.0.0.1');
sub start {
  my ($modules, $config) = @_;
  my $server = Server->start(modules => ['mod_tls', @$modules], config => sub { my ($self) = @_; return <<"EOC" });
$config
@{[Server::tls()]}
<VirtualHost $self->{bind}>
Port $other_port
AuthOrder mod_auth_file.c
AuthUserFile $self->{dir}/passwd
@{[Server::tls()]}
</VirtualHost>
EOC
  $server->file('some', text => 'x' x 1000);
  return $server;
}

# Where the pages of a daemon fall changes from start to start, by one or two
# pages a session: the mean of several starts, and engine off and on in one daemon.
sub mean { return sum0(@_) / @_ }
sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

my (%kb, %daemon);
for (1 .. 5) {
  my $server = start([], '');
  push @{ $daemon{none} }, private_bytes($server->pid);
  push @{ $kb{none} }, of_sessions($server, $server->port);
  $server->stop;

  $server = start(['mod_keepalive'], "KeepaliveEngine on\nKeepaliveRule * interval 1s deadline 60s");
  push @{ $daemon{on} }, private_bytes($server->pid);
  push @{ $kb{off} }, of_sessions($server, $other_port);
  push @{ $kb{on} },  of_sessions($server, $server->port);
}
my ($none, $off, $on) = map { mean(@$_) } @kb{qw(none off on)};
my ($without, $with) = map { mean(@$_) } @daemon{qw(none on)};
diag sprintf 'private memory of a session: %d kB without the module, %+d kB with it loaded, %+d kB with the engine on',
  map { $_ / 1024 } $none, $off - $none, $on - $none;
cmp_ok($on - $off, '<', 8192, sprintf 'the engine costs a session %d kB of private memory', ($on - $off) / 1024);
cmp_ok($with - $without, '<', 60 << 10, sprintf '... and the daemon %d kB', ($with - $without) / 1024);

done_testing;
