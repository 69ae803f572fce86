# The symptoms of troubleshooting.html about ports and who is told which address,
# each provoked on a daemon of its own.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::IP;
use Server;
use Symptoms;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

my ($outside, $inside, $lan) = ('203.0.113.9', '10.0.2.15', '10.0.2.100');
system("ip addr add $_/32 dev lo") == 0 or die "no address $_" for $outside, $inside, $lan;

sub server {
  my ($config, %opt) = @_;
  my $server = Server->start(modules => ['mod_natpasv'], config => "NATPasvEngine on\n$config", %opt);
  return ($server, sub { $server->log });
}
sub client { my ($server, $from) = @_; return Client->connect($server->bind, $server->port, from => $from // $outside)->login }

{
  my ($server, $log) = server("NATPasvPool few 30000-30003\nNATPasvRule * pool few wait 0s share any");
  my @clients = map { client($server) } 1 .. 5;
  is_deeply([map { ($_->cmd('PASV'))[0] } @clients], [(227) x 4, 425], 'five clients and four ports');
  symptom('PoolFull', Log => $log);

  # The second daemon knows nothing of the ports of the first.
  my ($second, $its_log) = server("NATPasvPool few 30000-30003\nNATPasvRule * pool few wait 0s share any");
  is((client($second)->cmd('PASV'))[0], 425, 'another daemon with the same ports');
  symptom('TwoDaemons', Log => $its_log);
}
{
  my ($server, $log) = server("NATPasvPool few 30000-30003\nNATPasvRule * pool few wait 0s");
  my @clients = map { client($server) } 1 .. 3;
  is_deeply([map { ($_->cmd('PASV'))[0] } @clients], [227, 227, 425], 'three sessions of one address and four ports');
  symptom('Share', Log => $log);
}
{
  my ($server, $log) = server('');
  symptom('NoPool', Log => $log);
}
{
  my ($server, $log) = server("NATPasvPool mine 30000-30003\nPassivePorts 31000 31009");
  symptom('NoRule', Log => $log);
}
{
  my $off = Server->start(modules => ['mod_natpasv'], config => "PassivePorts 31000 31009\n");
  my ($half) = server(<<"EOC");
PassivePorts 31000 31009
<VirtualHost 127.0.0.2>
Port 2121
PassivePorts 31000 31009
</VirtualHost>
EOC
  symptom('EngineOff', Log => sub { $off->log . $half->log });
}
{
  my ($server, $log) = server("NATPasvPool few 30000-30003\nNATPasvRule * pool few\nNATPasvTable /dev/null");
  is((client($server)->cmd('PASV'))[1], '425 Unable to build data connection: the table of leases is not available', 'a table that is none');
  symptom('TableRefused', Log => $log);
}
{
  my ($server, $log) = server("PassivePorts 30000 30009\nMasqueradeAddress 192.0.2.1\nNATPasvRule * address auto", bind => $inside);
  is((client($server, $lan)->pasv)[0], $inside, 'a client with a local address');
  symptom('LANIsTold', Log => $log);
}

# What comes through a proxy, and the daemon of a rootless container: root in a
# user namespace of its own, whose port forwarder connects from inside.
my $rootless = <<'EOC';
#!/usr/bin/perl
require 'syscall.ph';
pipe my $ready, my $unshared or die;
pipe my $mapped, my $done or die;
my $parent = $$;
if (!fork) {
  close $_ for $unshared, $mapped;
  sysread $ready, my $byte, 1;
  for ('uid', 'gid') { open my $map, '>', "/proc/$parent/${_}_map" or die "$_: $!"; syswrite $map, "0 0 65536\n" }
  exit;
}
close $_ for $ready, $done;
syscall(&SYS_unshare, 0x10000000) == 0 or die "unshare: $!";    # CLONE_NEWUSER
syswrite $unshared, '.';
sysread $mapped, my $byte, 1;
wait;
exec DAEMON, @ARGV;
EOC
for my $case (['LocalAddress', ''], ['RootlessContainer', $rootless]) {
  my ($symptom, $through) = @$case;
 SKIP: {
    skip 'the sanitizers do not like another user namespace', 1 if $through and $ENV{SANITIZE};
    skip 'user namespaces are not allowed here', 1 if $through and system('unshare --user true 2>/dev/null') != 0;
    my $server = Server->new(bind => $inside, modules => ['mod_natpasv'], config => "NATPasvEngine on\nPassivePorts 30000 30009\nNATPasvRule * wait 0s\n");
    local $Server::DAEMON = $through ? $server->write_file('daemon', $through =~ s/DAEMON/'$Server::DAEMON'/r, 0755) : $Server::DAEMON;
    $server->run;
    is(Server::slurp("/proc/@{[$server->pid]}/uid_map") =~ s/\s+/ /gr, ' 0 0 65536 ', 'a daemon in a user namespace of its own') if $through;
    client($server, $lan)->pasv for 1 .. 20;
    symptom($symptom, Log => sub { $server->log });
  }
}

SKIP: {
  skip 'no IPv6 here', 2 if system('ip -6 addr add 2001:db8::5/128 dev lo nodad') != 0;
  my ($server) = server('', base => '', bind => '2001:db8::5', config => sub { <<"EOC" });
ServerName six
User nobody
Group nogroup
MaxInstances none
UseReverseDNS off
RequireValidShell off
AuthOrder mod_auth_file.c
<IfModule mod_delay.c>
DelayEngine off
</IfModule>
DefaultAddress 2001:db8::5
SocketBindTight on
Port $_[0]{port}
PassivePorts 30000 30009
NATPasvEngine on
EOC
  my $client = client($server, '2001:db8::5');
  is(($client->pasv)[0], '0.0.0.0', 'PASV over IPv6');
  symptom('IPv6', 'ftpdctl natpasv leases' => ($server->ctl('natpasv', 'leases'))[1]);

  my $port = $server->port;
  ok(!IO::Socket::IP->new(PeerHost => $inside, PeerPort => $port, Timeout => 1), '... which listens on IPv6 alone');
  symptom('IPv6Only', 'ss -tln' => scalar `ss -tln sport = :$port`);
}

done_testing;
