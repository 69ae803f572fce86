#!/usr/bin/perl
# Clients that are gone, in the laboratory: a path that is dropped without a
# word, and a client that is there but does not read.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use NatLab;
use Scenarios;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable() || NatLab::unavailable();
plan skip_all => $why if $why;

my ($INTERVAL, $DEADLINE) = (2, 6);
my %port = (dead => 2101, stall => 2102);
my %ports = (dead => '60000 60099', stall => '60100 60199');
my $lab = NatLab->new(ports => '2101-2102, 60000-60199');

# A listing that is not read is not to fit into the sockets, and yet have few
# files: at the end of a session ProFTPD 1.3.7 forgets each that it has listed,
# which takes seconds of processor time for 12,000.
$lab->must($_ => 'sysctl', '-qw', 'net.ipv4.tcp_rmem=4096 65536 65536', 'net.ipv4.tcp_wmem=4096 65536 65536') for qw(server client);

sub server {
  my ($name, $config) = @_;
  my $server = $lab->server(
    modules => [qw(mod_tls mod_keepalive)], port => $port{$name},
    config  => sub {
      my ($self) = @_;
      return Server::tls() . <<"EOC" . $config;
KeepaliveEngine on
KeepaliveLog $self->{dir}/keepalive.log
MasqueradeAddress @{[$lab->external]}
PassivePorts $ports{$name}
EOC
    },
  );
  $server->file('big', size => 300_000_000);
  mkdir $server->home . '/many';
  for my $number (1 .. 2000) {
    open my $file, '>', sprintf '%s/many/%s%05d', $server->home, 'n' x 250, $number;
  }
  return $server;
}

sub keepalive_log { my ($server) = @_; return split /\n/, Server::slurp("$server->{dir}/keepalive.log") }

sub session {
  my ($server, $tls, $host) = @_;
  my $c = Client->connect($lab->external, $server->port, netns => $lab->ns('client'));
  $c->auth_tls if $tls;
  $c->login;
  $c->cmd('TYPE I');
  return $c;
}

# A transfer that is under way, and of which the client reads no more.
sub stuck {
  my ($c, $command) = @_;
  my ($host, $port) = $c->pasv;
  my $data = $c->data($host, $port);
  my ($code, $text) = $c->cmd($command);
  die "$command: $text" unless $code == 150;
  $data = $c->data_tls($data);
  $command =~ /^STOR/ ? syswrite $data, 'x' x 1000 : sysread $data, my $some, 1000;
  return $data;
}

# The path is dropped: every session ends by its deadline.
{
  my $server = server(dead => "KeepaliveRule * interval ${INTERVAL}s deadline ${DEADLINE}s\n");
  my (@held, %what);
  for my $what ('download with sendfile', 'download over TLS', 'upload', 'LIST', 'LIST over TLS', 'idle', 'idle over TLS') {
    my %known = map { $_ => 1 } $server->children;
    my $c = session($server, $what =~ /TLS/);
    my ($pid) = grep { !$known{$_} } $server->children;
    my $data = $what =~ /^idle/ ? undef
      : stuck($c, $what =~ /^upload/ ? 'STOR up' : $what =~ /^LIST/ ? 'LIST many' : 'RETR big');
    $what{$pid} = $what;
    push @held, $c, $data;
  }
  sleep 5;
  is(scalar(grep { $what{$_} } $server->children), scalar(keys %what), 'with answered probes all sessions live');

  $lab->nft("table ip cut {\n chain forward {\n type filter hook forward priority -10; policy drop;\n }\n}\n");
  my ($start, %gone) = time;
  while (time < $start + $DEADLINE + 10 and keys %gone < keys %what) {
    my %alive = map { $_ => 1 } $server->children;
    $gone{$_} //= time - $start for grep { !$alive{$_} } keys %what;
    sleep 0.02;
  }
  # A session under a sanitizer on a busy machine may come late to its timer.
  my $late = $ENV{SANITIZE} ? 5 : 1.5;
  for my $pid (sort { $what{$a} cmp $what{$b} } keys %what) {
    my $after = $gone{$pid} // 999;
    cmp_ok($after, '<=', $DEADLINE + $late + ($what{$pid} =~ /sendfile/ ? 5 : 0), sprintf '%s: the session ends after %.1f s', $what{$pid}, $after);
  }
  my @log = keepalive_log($server);
  is(scalar(grep { /(?:RETR|STOR|LIST|silence) by 198.51.100.50: no answer for (?:[567]|8|9|10|11)s, so the session ends: the client is gone/ } @log),
    scalar(keys %what), '... and the log says of each that the client was not heard, for how many seconds') or diag @log;
  is((grep { length > 160 } map { s/^.*?\]: //r } @log), 0, '... in at most 160 characters');
  my $report = $server->ctl_json('keepalive', 'status');
  is($report->{gone}, scalar(keys %what), 'ftpdctl keepalive status counts them') or diag explain $report;
  is($report->{forgotten}, 0, '... and does not blame the path');
  is_deeply($report->{networks}, [], '... nor says anything of the network');
  $lab->nft("delete table ip cut\n");
}

# A client that does not read: TimeoutStalled, as without the module. With
# sendfile ProFTPD itself starts it anew at each of its alarms: it may end late.
{
  my $limit = 4;
  my $server = server(stall => "KeepaliveRule * interval 1s method reply\nTimeoutStalled $limit\n");
  my @scenarios;
  for my $what ('RETR big', 'RETR big over TLS', 'STOR up', 'LIST many') {
    push @scenarios, [$what, sub {
      my $c = session($server, $what =~ /TLS/);
      my $data = stuck($c, $what =~ s/ over TLS//r);
      my $start = time;
      my ($code) = $c->reply(30);
      my $after = time - $start;
      my $most = ($what eq 'RETR big' ? 3 * $limit : $limit) + 2 + !!$ENV{SANITIZE};
      Scenarios::check(defined $code && $code == 0 && $after < $most,
        sprintf('with a keepalive every second TimeoutStalled ends it, after %.1f s', $after), $code // 'still there');
    }];
  }
  Scenarios::run(8, @scenarios);
  like($server->stderr . $server->log, qr/Data transfer stall timeout: $limit seconds/, 'the log has the words of stock');
}

done_testing;
