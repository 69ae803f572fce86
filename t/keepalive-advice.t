#!/usr/bin/perl
# The one line that says that probes may not be enough: with the PROXY protocol,
# or when all clients have one address because HAProxy is in front of the
# server. Only clients without TLS 1.3 need what it recommends.
#
# The line is written before the reply to PASS, so what is not there when the
# client has that reply does not come.

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
my ($haproxy) = grep { -x } qw(/usr/sbin/haproxy /usr/bin/haproxy);

# So many sessions of one address are a proxy's.
my $SAME = 50;

# With mod_tls a session takes ten times as long to begin.
sub server {
  my ($tls) = @_;
  return Server->start(modules => [$tls ? 'mod_tls' : (), 'mod_keepalive'], config => sub { ($tls ? Server::tls() : '') . <<"EOC" });
KeepaliveEngine on
KeepaliveLog $_[0]{dir}/keepalive.log
EOC
}

sub advice { my ($server) = @_; return map { s/^.*?\]: //r } split /\n/, Server::slurp("$server->{dir}/keepalive.log") }

# A session that stays: the daemon pauses when one ends.
my @open;
sub login {
  my ($server, %opt) = @_;
  my $client = Client->connect($opt{host} // '127.0.0.1', $opt{port} // $server->port, from => $opt{from});
  $client->auth_tls(SSL_version => $opt{tls}) if $opt{tls};
  push @open, $client->login;
}

sub recommends {
  my ($cause, $protocol) = @_;
  return "$cause: a proxy may end the TCP connections and forward no probes, and this client has $protocol: consider 'KeepaliveRule * method reply'";
}

# The PROXY protocol: what matters is the client and its server's configuration.
{
  my $vhosts = join '', map { <<"EOC" } [2, "ProxyProtocolEngine off\n"], [3, "ProxyProtocolEngine on\nKeepaliveRule * method reply\n"];
<VirtualHost 127.0.0.$_->[0]>
Port PORT
AuthUserFile DIR/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
KeepaliveEngine on
$_->[1]</VirtualHost>
EOC
  my $server = Server->start(modules => [qw(mod_tls mod_proxy_stub mod_keepalive)], config => sub {
    my ($self) = @_;
    return Server::tls() . <<"EOC" . $vhosts =~ s/PORT/$self->{port}/gr =~ s/DIR/$self->{dir}/gr;
KeepaliveEngine on
KeepaliveLog $self->{dir}/keepalive.log
ProxyProtocolEngine on
EOC
  });
  my $cause = 'ProxyProtocolEngine is on';
  login($server, host => '127.0.0.2');
  is_deeply([advice($server)], [], 'ProxyProtocolEngine off: nothing is said');
  login($server, host => '127.0.0.3');
  is_deeply([advice($server)], [], 'on, with method reply: nothing is said');
  login($server, tls => 'TLSv1_3');
  is_deeply([advice($server)], [], 'on, a client with TLS 1.3: nothing is said');
  login($server, tls => 'TLSv1_2');
  my @said = recommends($cause, 'TLSv1.2');
  is_deeply([advice($server)], \@said, 'on, a client with TLS 1.2: one line recommends reply');
  login($server);
  is_deeply([advice($server)], \@said, '... and no second one at the next client');
  $server->hup;
  Net::wait_for(sub { $server->log =~ /received SIGHUP -- master/ });
  login($server);
  is_deeply([advice($server)], \@said, '... nor after a reload');
}

# Many addresses are no proxy's, whatever their number.
{
  my $server = server(0);
  login($server, from => '127.0.1.' . $_ % 9) for 1 .. $SAME + 9;
  is_deeply([advice($server)], [], sprintf '%d sessions of 9 addresses: nothing is said', $SAME + 9);
  login($server, from => '127.0.1.1') for 1 .. $SAME;
  is_deeply([advice($server)], [], "... nor when $SAME of one address follow");
}

# HAProxy before two servers: clients of three addresses have one.
SKIP: {
  skip 'haproxy (Debian package haproxy) is missing', 5 unless $haproxy;
  my %server = (plain => server(0), tls => server(1));
  my %front = map { $_ => Net::free_port('127.0.0.1') } keys %server;
  my $dir = File::Temp::tempdir('keepalive-advice-XXXXXX', TMPDIR => 1, CLEANUP => 1);
  open my $config, '>', "$dir/haproxy.cfg" or die $!;
  print $config "defaults\n  mode tcp\n  timeout connect 60s\n  timeout client 10m\n  timeout server 10m\n";
  print $config "listen $_\n  bind 127.0.0.1:$front{$_}\n  server ftp 127.0.0.1:@{[$server{$_}->port]}\n" for sort keys %front;
  close $config;
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    open STDOUT, '>', "$dir/said";
    open STDERR, '>&', \*STDOUT;
    exec $haproxy, '-db', '-f', "$dir/haproxy.cfg" or POSIX::_exit(127);
  }
  Janitor::watch($pid, '/nowhere');
  Net::wait_port('127.0.0.1', $_, undef, 10) or die Server::slurp("$dir/said") for values %front;

  my $come = sub {
    my ($which, %opt) = @_;
    login($server{$which}, port => $front{$which}, from => '127.0.2.' . (1 + @open % 3), %opt);
  };
  my $cause = 'all clients have one address';
  $come->('plain') for 1 .. $SAME - 1;
  is_deeply([advice($server{plain})], [], "HAProxy, @{[$SAME - 1]} sessions: nothing is said");
  $come->('plain');
  my @said = recommends($cause, 'no TLS');
  is_deeply([advice($server{plain})], \@said, '... the next one is plain FTP: one line recommends reply');
  $come->('plain') for 1 .. 3;
  is_deeply([advice($server{plain})], \@said, '... and no more come');

  # Only the last ones use TLS.
  $come->('tls') for 1 .. $SAME - 1;
  $come->('tls', tls => 'TLSv1_3') for 1 .. 3;
  is_deeply([advice($server{tls})], [], 'HAProxy, then clients with TLS 1.3: nothing is said');
  $come->('tls', tls => 'TLSv1_2');
  is_deeply([advice($server{tls})], [recommends($cause, 'TLSv1.2')], '... the next one has TLS 1.2: one line recommends reply');
  Janitor::forget($pid);
  kill 'TERM', $pid and waitpid $pid, 0;
}

done_testing;
