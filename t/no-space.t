# The directory of the tables, on a file system without room: what was there
# when the daemon started is enough for all sessions, and where there is not
# enough for that, the log says so. A table that is cut off under a session.

use strict;
use warnings;
use File::Path 'remove_tree';
use File::Temp;
use Net 'private';
use Client;
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'mounting needs root' if $> != 0;

Net::own_mounts();
my @dirs;
END {
  system('umount', '-l', "$_/run"), remove_tree($_) for @dirs;
}

# A server whose run directory has so many KiB, and its directory.
sub server_in {
  my ($kb) = @_;
  my $dir = File::Temp::tempdir('proftpd-test-XXXXXX', TMPDIR => 1);
  push @dirs, $dir;
  mkdir "$dir/run" or die $!;
  system('mount', '-t', 'tmpfs', '-o', "size=${kb}k,mode=755", 'tmpfs', "$dir/run") == 0 or die 'mount';
  my $server = Server->start(keep => $dir, port => 4021, modules => [qw(mod_natpasv mod_keepalive)], config => sub { <<"EOC" });
NATPasvEngine on
NATPasvTable $dir/run/natpasv.tab
NATPasvLog $dir/natpasv.log
NATPasvPool public 5000-64999
NATPasvRule * pool public wait 0s share any
KeepaliveEngine on
KeepaliveLog $dir/keepalive.log
KeepaliveRule * method reply interval 1s
TransferRate RETR 100
EOC
  return $server;
}

sub fill {
  my ($path) = @_;
  open my $file, '>', $path or die "$path: $!";
  my $all = 0;
  while (my $put = syswrite $file, "\0" x 4096) { $all += $put }
  return $!{ENOSPC} && $all;
}

my $server = server_in(4096);
$server->file('down', size => 200_000);
# The first session makes what only sessions make.
Client->connect('127.0.0.1', $server->port)->login->quit;
ok(fill("$server->{dir}/run/rest"), 'the file system of the tables is full');
for my $n (1 .. 3) {
  my $client = Client->connect('127.0.0.1', $server->port)->login;
  my %ports;
  $ports{ ($client->pasv)[1] // 0 }++ for 1 .. 200;
  cmp_ok(scalar(grep { $_ } keys %ports), '>', 190, "session $n: ports all over the pool") or diag $server->log;
  $client->cmd('TYPE I');
  my ($code, $text) = $client->retr('down');
  is($code, 226, '... and a download that is kept alive') or diag $text // '', $server->log;
  $client->quit;
}
{
  my $client = Client->connect('127.0.0.1', $server->port)->login;
  truncate "$server->{dir}/run/$_.tab", 0 or die $! for grep { -e "$server->{dir}/run/$_.tab" } qw(keepalive natpasv);
  is(($client->retr('down'))[0], 226, 'the tables are cut off: the session goes on');
  $client->quit;
}
unlike($server->log, qr/STACK TRACE|terminating \(signal/, 'no session was killed');
$server->stop;

$server = server_in(256);
my $client = Client->connect('127.0.0.1', $server->port)->login;
is(($client->cmd('PASV'))[0], 425, 'no room for the table: PASV is refused');
like(Server::slurp("$server->{dir}/natpasv.log") . $server->log,
  qr{error opening NATPasvTable '\S+': No space left on device}, '... and the log says why');

done_testing;
