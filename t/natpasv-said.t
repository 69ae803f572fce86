# What goes wrong while clients come and go stands in the default log, once, with
# what to do.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::IP;
use Server;
use Test::More;
use Time::HiRes qw(sleep);

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

my %at = (lan => '127.0.0.2', public => '203.0.113.9');
system('ip', 'addr', 'add', "$at{public}/32", 'dev', 'lo');

sub server {
  my ($config, %opt) = @_;
  return Server->start(modules => ['mod_natpasv'], %opt, config => sub { <<"EOC" });
NATPasvEngine on
NATPasvLog $_[0]{dir}/natpasv.log
$config
EOC
}

sub client {
  my ($server, $from) = @_;
  return Client->connect($server->bind, $server->port, from => $at{ $from // 'public' })->login;
}

sub said { my ($server, $line) = @_; return scalar(() = $server->log =~ /$line/g) }

# A listener that nobody reached.
{
  my $server = server("NATPasvPool all 30000-30009 quarantine 0s\nNATPasvPool mapped 31000-31009 external 41000\n"
    . "<Class lan>\nFrom 127.0.0.2\n</Class>\nNATPasvRule lan pool mapped address 192.0.2.9\nNATPasvRule * pool all address 192.0.2.1");
  $server->file('hello', text => "hello\n");
  my $never = qr/client 203\.0\.113\.9 never connected to port 3000\d of pool 'all', announced /;
  client($server)->cmd('PASV');
  sleep 1.2;
  for my $command ('PASV', 'EPSV', 'PASV') {
    my $client = client($server);
    $client->cmd($command);
    $client->send('RETR hello');
    sleep 0.2;
    $client->close;
    Net::wait_for(sub { said($server, $never) }, 5);
  }
  ok(Net::wait_for(sub {
    $server->ctl_json('natpasv', 'status')->{pools}[0]{unreached} >= 3;
  }, 5), 'listeners that no client reached are counted');
  is(said($server, $never), 1, '... and said in the system log, once in a minute');
  like($server->log, qr/${never}with address 192\.0\.2\.1: if no client can connect, forward TCP 30000-30009 to 127\.0\.0\.1, and allow it in the firewall/,
    '... with what has to be forwarded and where to');
  cmp_ok(scalar(() = Server::slurp("$server->{dir}/natpasv.log") =~ /$never/g), '>=', 3, '... and each of them in NATPasvLog');

  my $lan = client($server, 'lan');
  $lan->cmd('EPSV');
  $lan->send('RETR hello');
  sleep 0.2;
  $lan->close;
  ok(Net::wait_for(sub {
    said($server, qr/client 127\.0\.0\.2 never connected to port 4100\d of pool 'mapped', announced by EPSV: if no client can connect, allow TCP 31000-31009 to 127\.0\.0\.1 in this server's firewall/);
  }, 5), 'a client of the LAN is not behind the router, but behind the firewall');
}

# Ports of other programs.
{
  my $server = server("NATPasvPool few 30000-30002\nNATPasvRule * pool few wait 0s");
  my @others = map { IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $_, Listen => 1) || die "$_: $@" } 30000 .. 30002;
  is_deeply([client($server)->cmd('PASV')],
    [425, "425 Unable to build data connection: no free port in pool 'few' (3 of 3 in use, 3 of them by other programs)"],
    'a refusal says how many ports other programs have');
  my $refused = qr/PASV of client 203\.0\.113\.9 refused: no free port in pool 'few' \(3 of 3 in use, 3 of them by other programs\); see 'ftpdctl natpasv leases'/;
  client($server)->cmd('PASV') for 1 .. 3;
  ok(Net::wait_for(sub { (() = Server::slurp("$server->{dir}/natpasv.log") =~ /$refused/g) == 4 }, 5), '... each is in NATPasvLog');
  is(said($server, $refused), 1, '... and one in the system log, once in a minute');
}

# A pool that fills.
{
  my $server = server("NATPasvPool ten 30000-30009\nNATPasvRule * pool ten share any");
  my @clients = map { client($server) } 1 .. 10;
  my $fills = qr/pool 'ten' is nearly full \((?:9|10) of 10 ports in use\): .*give the pool more ports/;
  $_->pasv for @clients[0 .. 7];
  sleep 0.2;
  is(said($server, $fills), 0, 'a pool with 8 of 10 ports in use');
  $_->pasv for @clients[8, 9];
  ok(Net::wait_for(sub { said($server, $fills) }, 5), '... is nearly full with the ninth or, when that is late, the tenth');
  sleep 0.2;
  is(said($server, $fills), 1, '... which is said once an hour');
}

# Who is told the local address, where all were told another one.
{
  my $server = server("PassivePorts 30000 30009\nMasqueradeAddress 192.0.2.1\nNATPasvRule * address auto");
  my $told = qr/client 127\.0\.0\.2 is told the local address 127\.0\.0\.1, not MasqueradeAddress 192\.0\.2\.1: its own address is local, and NATPasvRule \* says 'address auto'; .*'address 192\.0\.2\.1'/;
  is((client($server, 'public')->pasv)[0], '192.0.2.1', 'a client of the Internet is told MasqueradeAddress');
  is((client($server, 'lan')->pasv)[0], '127.0.0.1', 'a local client is told the local address') for 1 .. 2;
  ok(Net::wait_for(sub { said($server, $told) }, 5), '... and the log says why');
  is(said($server, $told), 1, '... once an hour');
}

# A control port in PassivePorts is left out.
{
  my $server = server("PassivePorts 30000 30002\nNATPasvRule * wait 0s share any", port => 30001);
  my @clients = map { client($server) } 1 .. 3;
  is_deeply([sort map { ($_->pasv)[1] // 0 } @clients], [0, 30000, 30002], 'PassivePorts 30000 30002 with Port 30001 are two ports');
}

# PASV over IPv6 has no IPv4 address, whatever there is to announce.
SKIP: {
  skip 'no IPv6 here', 4 if system('ip -6 addr add 2001:db8::5/128 dev lo nodad; ip -6 addr add 2001:db8::6/128 dev lo nodad') != 0;
  system('ip addr add 9.9.9.9/32 dev lo');
  for (['auto'], ['192.0.2.7'], ['auto', 'mod_extip'], ['extip', 'mod_extip']) {
    my ($address, @extip) = @$_;
    my $server = Server->start(modules => ['mod_natpasv', @extip], bind => '2001:db8::5', base => '', config => sub { <<"EOC" });
ServerName six
User nobody
Group nogroup
AuthOrder mod_auth_file.c
RequireValidShell off
DefaultAddress 2001:db8::5
SocketBindTight on
Port $_[0]{port}
NATPasvEngine on
PassivePorts 30000 30009
MasqueradeAddress 192.0.2.1
NATPasvRule * address $address
@{[@extip ? "ExtIPEngine on\nExtIPSource if:lo\nExtIPTable none" : '']}
EOC
    Net::wait_for(sub { $server->log =~ /9\.9\.9\.9/ }, 10) || diag $server->log if @extip;
    my $six = Client->connect('2001:db8::5', $server->port, from => '2001:db8::6')->login;
    is(($six->pasv)[0], '0.0.0.0', "PASV over IPv6 with MasqueradeAddress and address $address is 0,0,0,0" . (@extip ? ', whatever mod_extip knows' : ''));
  }
}

done_testing;
