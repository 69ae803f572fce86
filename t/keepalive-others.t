#!/usr/bin/perl
# Beside mod_sftp and mod_proxy, in both orders of the modules: connections of
# other protocols are not touched; a client of the proxy is kept alive through a
# router that forgets idle connections after 4 seconds, and the connection to
# the back end is left alone.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use NatLab;
use POSIX ();
use Server;
use SocketOf;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable() || NatLab::unavailable();
plan skip_all => $why if $why;

my $OPTIONS = 'SocketOptions keepalive 1234:5:77';
my $STOCK = SocketOf::stock($OPTIONS);
my $lab = NatLab->new(forget => 4, ports => '2101-2110, 60000-60099');

sub report { my ($server) = @_; return $server->ctl_json('keepalive', 'status') }

SKIP: {
  skip 'mod_sftp (Debian package proftpd-mod-crypto) is missing', 8 unless Server::has_module('mod_sftp');
  my ($sftp) = grep { -x } '/usr/bin/sftp';
  skip 'sftp (Debian package openssh-client) is missing', 8 unless $sftp;

  for my $order ([qw(mod_sftp mod_keepalive)], [qw(mod_keepalive mod_sftp)]) {
    my $server = $lab->server(
      modules => $order,
      config  => sub {
        my ($self) = @_;
        system("ssh-keygen -q -t rsa -m PEM -N '' -f $self->{dir}/hostkey") == 0 or die 'ssh-keygen' unless -e "$self->{dir}/hostkey";
        $self->write_file('askpass', "#!/bin/sh\necho ftp\n", 0755);
        return <<"EOC";
KeepaliveEngine on
KeepaliveRule * interval 5s deadline 20s
$OPTIONS
SFTPEngine on
SFTPHostKey $self->{dir}/hostkey
SFTPAuthMethods password
SFTPLog $self->{dir}/sftp.log
EOC
      },
    );
    $server->file('some', text => 'some');
    my $what = "@$order";
    my $dir = $server->dir;
    mkdir "$dir/client";
    my $pid = open(my $in, '|-') // die "fork: $!";
    if ($pid == 0) {
      open STDOUT, '>', "$dir/said";
      open STDERR, '>&', \*STDOUT;
      POSIX::setsid();
      %ENV = (%ENV, SSH_ASKPASS => "$dir/askpass", SSH_ASKPASS_REQUIRE => 'force', DISPLAY => ':0', HOME => "$dir/client");
      exec Net::prefix($lab->ns('server')), $sftp, '-q', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
        '-P', $server->port, 'ftp@' . $server->bind or POSIX::_exit(127);
    }
    $in->autoflush(1);
    print $in "get some $dir/client/got\n";
    ok(Net::wait_for(sub { -s "$dir/client/got" }, 20), "$what: an SFTP client fetches a file") or diag Server::slurp("$dir/said"), Server::slurp("$dir/sftp.log");
    my ($port) = `ip netns exec @{[$lab->ns('server')]} ss -Htn state established dport = :@{[$server->port]}` =~ /:(\d+)\s+\S+:@{[$server->port]}/;
    my $socket = SocketOf::control($port, $server->children);
    is(SocketOf::options($socket), $STOCK, '... and its socket has the options of stock');
    is_deeply([@{ report($server) }{qw(logged_in in_transfer)}], [0, 0], '... and status knows of nobody');
    print $in "bye\n";
    close $in;
    unlike($server->log . $server->stderr, qr/keepalive(?!\S* in force )/, '... and the log has nothing to say');
    $server->stop;
  }
}

SKIP: {
  skip 'mod_proxy (Debian package proftpd-mod-proxy) is missing', 16 unless Server::has_module('mod_proxy');
  my $back = $lab->server(modules => [], port => 2110, config => "TransferRate RETR 10\n$OPTIONS\n");
  $back->file('slow', size => 100_000);

  for my $order ([qw(mod_proxy mod_keepalive)], [qw(mod_keepalive mod_proxy)]) {
    my $what = "@$order";
    my $server = $lab->server(
      modules => $order,
      config  => sub {
        my ($self) = @_;
        mkdir "$self->{dir}/proxy";
        chmod 0755, "$self->{dir}/proxy";
        return <<"EOC";
KeepaliveEngine on
KeepaliveRule * interval 1s
MasqueradeAddress @{[$lab->external]}
PassivePorts 60000 60099
$OPTIONS
ProxyEngine on
ProxyRole reverse
ProxyTables $self->{dir}/proxy
ProxyReverseServers ftp://192.168.1.10:2110
ProxyTimeoutConnect 60
EOC
      },
    );
    my $c = Client->connect($lab->external, $server->port, netns => $lab->ns('client'), timeout => 30);
    $c->login;
    $c->cmd('TYPE I');
    my ($session) = $server->children;
    my $socket = SocketOf::control($c->{socket}->sockport, $server->children);
    is(SocketOf::options($socket), '1 1 1 127 0', "$what: the client's control connection has probes");
    my $to_back = SocketOf::socket_to(2110, $session);
    unlike(SocketOf::options($to_back), qr/^1 1 1 127/, '... which are not ours') if $to_back;

    my ($host, $port) = $c->pasv;
    my $data = $c->data($host, $port);
    my ($code, $text) = $c->cmd('RETR slow');
    my $mover = fork // die;
    if ($mover == 0) { 1 while sysread $data, my $bytes, 65536; POSIX::_exit(0) }
    sleep 2;
    my ($shown) = @{ report($server)->{sessions} };
    is($shown->{method}, 'tcp', '... status says that it has probes');
    is($shown->{sent}, 0, '... and that nothing is written');
    ($code, $text) = $c->reply(30);
    waitpid $mover, 0;
    is($code, 226, '... a transfer of 10 s through the proxy ends well') or diag $text;
    is(($c->cmd('NOOP'))[0], 200, '... and the control connection lives');
    is(report($server)->{in_transfer}, 0, '... and nobody is left in transfer');
    $c->quit;
    $server->stop;
  }
}

done_testing;
