# Beside mod_sftp and mod_proxy, in both orders of the modules: SFTP is not
# touched, a session of the proxy transfers, and the FTP server beside them has
# its ports from the pool.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();
for (['mod_sftp', 'proftpd-mod-crypto'], ['mod_proxy', 'proftpd-mod-proxy']) {
  plan skip_all => "$_->[0] (Debian package $_->[1]) is missing" unless Server::has_module($_->[0]);
}
my ($sftp) = grep { -x } '/usr/bin/sftp';
plan skip_all => 'sftp (Debian package openssh-client) is missing' unless $sftp;

my $behind = Server->start(bind => '127.0.0.9', modules => [], config => "PassivePorts 31000 31009\n");
$behind->file('far', text => 'from behind the proxy');

# FTP at 127.0.0.1, SFTP at 127.0.0.2 and the proxy at 127.0.0.3.
sub config {
  my ($self) = @_;
  my $dir = $self->dir;
  system("ssh-keygen -q -t rsa -m PEM -N '' -f $dir/hostkey") == 0 or die 'ssh-keygen';
  mkdir "$dir/proxy" or die "$dir/proxy: $!";
  my $common = "Port @{[$self->port]}\nAuthUserFile $dir/passwd\nAuthOrder mod_auth_file.c\nRequireValidShell off\nNATPasvEngine on";
  return <<"EOC";
ProxyTables $dir/proxy
NATPasvEngine on
NATPasvPool few 30000-30001
NATPasvRule * pool few
<VirtualHost 127.0.0.2>
$common
SFTPEngine on
SFTPHostKey $dir/hostkey
SFTPAuthMethods password
SFTPLog $dir/sftp.log
</VirtualHost>
<VirtualHost 127.0.0.3>
ServerName gate
$common
ProxyEngine on
ProxyRole reverse
ProxyReverseServers ftp://127.0.0.9:@{[$behind->port]}
</VirtualHost>
EOC
}

sub fetch_by_sftp {
  my ($server) = @_;
  my $dir = $server->dir;
  my $askpass = $server->write_file('askpass', "#!/bin/sh\necho ftp\n", 0755);
  my $commands = $server->write_file('commands', "get near $dir/got\n");
  local %ENV = (%ENV, SSH_ASKPASS => $askpass, SSH_ASKPASS_REQUIRE => 'force', DISPLAY => ':0', HOME => $dir);
  system("setsid -w $sftp -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -P @{[$server->port]} ftp\@127.0.0.2 <$commands >$dir/said 2>&1");
  return Server::slurp("$dir/got");
}

for my $order ([qw(mod_sftp mod_proxy mod_natpasv)], [qw(mod_natpasv mod_proxy mod_sftp)]) {
  my $server = Server->start(modules => $order, config => \&config);
  $server->file('near', text => 'from this server');
  like($server->log, qr/server 'gate' has ProxyEngine on: mod_proxy takes its passive ports from the kernel/, "@$order: a warning says that no pool is for the proxy's clients");
  is(fetch_by_sftp($server), 'from this server', '... an SFTP client fetches a file') or diag Server::slurp($server->dir . '/said'), Server::slurp($server->dir . '/sftp.log');

  my $client = Client->connect('127.0.0.3', $server->port)->login;
  for my $epsv (0, 1) {
    my ($code, $text, $bytes) = $client->retr('far', epsv => $epsv);
    is("$code " . ($bytes // $text), '226 from behind the proxy', '... a client of the proxy fetches one with ' . ($epsv ? 'EPSV' : 'PASV'));
  }
  $client->quit;

  $client = Client->connect('127.0.0.1', $server->port)->login;
  my (undef, $port) = $client->pasv;
  cmp_ok(abs(($port // 0) - 30000.5), '<', 1, '... and FTP beside them has a port of the pool');
  $client->quit;
  $server->stop;
  is($server->log =~ /signal (?:6|7|11)|STACK TRACE/ ? $& : '', '', '... and nothing crashed');
}

done_testing;
