# A passive port is shared with no other process: SocketOptions reuseport, which
# ProFTPD takes from 1.3.8 on, is for the control port and its many daemons.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Server;
use Socket qw(:DEFAULT SO_REUSEPORT);
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

my %config = (
  modules => ['mod_natpasv'],
  config  => sub { <<"EOC" },
SocketOptions reuseport on
NATPasvEngine on
NATPasvPool all 21000-21009
NATPasvRule * pool all
NATPasvTable $_[0]{dir}/run/natpasv.tab
EOC
);
plan skip_all => 'this ProFTPD has no SocketOptions reuseport' if (Server->configtest(%config))[0] != 0;

my $server = Server->start(%config);
my $client = Client->connect('127.0.0.1', $server->port)->login;
my ($address, $port) = $client->pasv;
ok($port, 'a client has a passive port') or diag $server->log;

# Who wants to listen there as well; the kernel lets only the same user try.
sub listens {
  my ($user) = @_;
  my $pid = fork // die $!;
  if ($pid == 0) {
    $> = $user;
    socket(my $socket, PF_INET, SOCK_STREAM, 0) or die $!;
    setsockopt($socket, SOL_SOCKET, $_, 1) or die $! for SO_REUSEADDR, SO_REUSEPORT;
    require POSIX;
    POSIX::_exit(bind($socket, sockaddr_in($port, INADDR_ANY)) && listen($socket, 5) ? 0 : 1);
  }
  waitpid $pid, 0;
  return $? == 0;
}

ok(!listens($_), "no other process of user $_ listens there too") for 0, $server->uid;

done_testing;
