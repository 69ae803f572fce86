#!/usr/bin/perl
# HAProxy in TCP mode that cuts a control connection without payload for 3
# seconds, and longer where a login takes as long: what carries payload survives a
# transfer of more than twice that, what does not is cut. The data connections are
# direct.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Digest::MD5 qw(md5_hex);
use File::Path qw(make_path);
use List::Util qw(max);
use POSIX ();
use RealClients;
use Seed;
use Server;
use Stock;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
my ($haproxy) = grep { -x } qw(/usr/sbin/haproxy /usr/bin/haproxy);
plan skip_all => 'haproxy (Debian package haproxy) is missing' unless $haproxy;

my $CUT  = POSIX::ceil(3 * max(1, Limits::slowness() / 4));    # seconds
my $SIZE = 700_000;
my $RATE = $SIZE / 1024 / ($CUT * 7 / 3);
my $big = join '', map { pack 'N', int rand 2**32 } 1 .. $SIZE / 4;

# One server a method, each behind a port of HAProxy's.
my (%server, %front);
for my $method (qw(tcp auto reply)) {
  $server{$method} = Server->start(
    modules => [qw(mod_tls mod_keepalive)],
    config  => Server::tls() . <<"EOC",
KeepaliveEngine on
KeepaliveRule * interval 1s method $method
TransferRate RETR,STOR $RATE
AllowForeignAddress on
EOC
  );
  $server{$method}->file('big', text => $big);
  $server{$method}->file('small', text => 'small');
  $front{$method} = Net::free_port('127.0.0.1');
}

my $dir = File::Temp::tempdir('keepalive-proxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
open my $config, '>', "$dir/haproxy.cfg" or die $!;
print $config <<"EOC";
defaults
  mode tcp
  timeout connect 5s
  timeout client ${CUT}s
  timeout server ${CUT}s
EOC
print $config "listen $_\n  bind 127.0.0.1:$front{$_}\n  server ftp 127.0.0.1:@{[$server{$_}->port]}\n" for sort keys %front;
close $config;
my $pid = fork // die "fork: $!";
if ($pid == 0) {
  open STDOUT, '>', "$dir/said";
  open STDERR, '>&', \*STDOUT;
  exec $haproxy, '-db', '-f', "$dir/haproxy.cfg" or POSIX::_exit(127);
}
END { local $?; kill 'TERM', $pid and waitpid $pid, 0 if $pid }
Net::wait_port('127.0.0.1', $front{tcp}, undef, 10) or die Server::slurp("$dir/said");

# method, TLS, and whether the transfer is to end well.
my @paths = (
  ['tcp', '', 0], ['tcp', '1.3', 0], ['auto', '', 0], ['auto', '1.2', 0],
  ['auto', '1.3', 1], ['reply', '', 1], ['reply', '1.2', 1], ['reply', '1.3', 1],
);
# All clients with LONG where it is to end well, else two of them, as for what is
# cut.
my %few = map { $_ => 1 } $ENV{SANITIZE} ? 'curl' : qw(curl ftplib);

# These have no session ticket for their data connections.
my %ticketless = map { $_ => 1 } 'ftplib', 'Net::FTP';
my $crashes = Stock::crashes_without_ticket()
  ? "mod_tls of this release crashes at an upload by TLS 1.2 without a session ticket, also without our modules (ProFTPD's issue 1063)" : '';

my (@jobs, @expected);
for my $path (@paths) {
  my ($method, $tls, $well) = @$path;
  for my $name (@RealClients::NAMES) {
    my $client = $RealClients::CLIENTS{$name};
    next if RealClients::unavailable($name) or ($tls and !$client->{tls});
    next if !$few{$name} and (!$well or !$ENV{LONG});
    for my $way ('get', $client->{put} ? 'put' : ()) {
      my $what = "$name, " . ($tls ? "TLS $tls" : 'plain FTP') . ", $way, method $method";
      if ($crashes and $well and $way eq 'put' and $tls eq '1.2' and $ticketless{$name}) {
        SKIP: { skip "$what: $crashes", 1 }
        next;
      }
      my $job = join '-', $name =~ s/\W+/_/gr, $method, $tls || 'plain', $way;
      my $jobdir = "$dir/$job";
      make_path($jobdir);
      my @files = $way eq 'get' ? qw(big small) : ("$job.big", "$job.small");
      if ($way eq 'put') {
        $server{$method}->write_file("$jobdir/$files[0]", $big);
        $server{$method}->write_file("$jobdir/$files[1]", 'small');
      }
      push @jobs, [$job, undef, $jobdir, RealClients::script($name, host => '127.0.0.1', port => $front{$method},
        tls => $tls ? 1 : 0, tls_max => $tls eq '1.2' ? '1.2' : undef, $way => \@files), $well ? () : 7 * $CUT];
      push @expected, {
        job => $job, well => $well, what => $what,
        files => [map { $way eq 'get' ? "$jobdir/$_" : $server{$method}->home . "/$_" } @files],
      };
    }
  }
}

my %result = RealClients::together(20 * $CUT, @jobs);
for my $case (@expected) {
  my $result = $result{ $case->{job} };
  my @got = map { -f $_ ? md5_hex(Server::slurp($_)) : '' } @{ $case->{files} };
  my $well = $result->{status} eq '0' && $got[0] eq md5_hex($big) && $got[1] eq md5_hex('small');
  if ($case->{well}) {
    ok($well, sprintf '%s: ends well, after %.1f s', $case->{what}, $result->{seconds}) or diag substr $result->{said}, -1500;
  } else {
    ok(!$well, "$case->{what}: is cut");
  }
}

done_testing;
