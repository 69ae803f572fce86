#!/usr/bin/perl
# A router that forgets idle connections after 4 seconds, transfers that take
# 12: with the engine off the control connection is dead at the end, with
# "method auto" every client ends well and uses the connection once more.
# Down and up, FTP and FTPS, at the same time: all clients with LONG, else some;
# and with LONG once more without any rule, past 29 seconds.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5 qw(md5_hex);
use File::Path qw(make_path);
use NatLab;
use Net;
use RealClients;
use Seed;
use Server;
use Test::More;

my $why = Server::unavailable() || NatLab::unavailable();
plan skip_all => $why if $why;

my $RATE = 100_000;
my %port = (off => 21, auto => 2121);

sub arrived {
  my ($path, $content) = @_;
  return -f $path && md5_hex(Server::slurp($path)) eq md5_hex($content);
}

# A router that forgets after so many seconds, a rule, and transfers that take
# so long.
sub matrix {
  my ($FORGET, $rule, $seconds) = @_;
  my $lab = NatLab->new(forget => $FORGET, ports => '2121, 60000-60999');
  my $big = join '', map { pack 'N', int rand 2**32 } 1 .. $RATE * $seconds / 4;
  my $small = 'small';

  my $start = sub {
    my ($engine) = @_;
    my $server = $lab->server(
      modules => [qw(mod_tls mod_keepalive)], port => $port{$engine},
      config => Server::tls() . <<"EOC",
KeepaliveEngine @{[$engine eq 'off' ? 'off' : 'on']}
$rule
MasqueradeAddress @{[$lab->external]}
PassivePorts @{[$engine eq 'off' ? '60000 60499' : '60500 60999']}
TransferRate RETR,STOR @{[$RATE / 1024]}
EOC
    );
    $server->file('big', text => $big);
    $server->file('small', text => $small);
    return $server;
  };

  my %server = map { $_ => $start->($_) } qw(off auto);
  my $root = $lab->dir;
  my (@jobs, @expected);

  for my $name ($ENV{LONG} ? (@RealClients::NAMES, 'gftp') : $ENV{SANITIZE} ? 'curl' : qw(curl lftp ftplib gftp)) {
    my $client = $RealClients::CLIENTS{$name};
    if (my $missing = RealClients::unavailable($name)) {
      SKIP: { skip $missing, 1 }
      next;
    }
    for my $engine (qw(off auto)) {
      for my $tls (0, $client->{tls} ? 1 : ()) {
        for my $way ('get', $client->{put} ? 'put' : ()) {
          my $job = join '-', $name =~ s/\W+/_/gr, $engine, $tls ? 'ftps' : 'ftp', $way;
          my $dir = "$root/$job";
          make_path($dir);
          my @files = $way eq 'get' ? qw(big small) : ("$job.big", "$job.small");
          if ($way eq 'put') {
            NatLab::write_file("$dir/$files[0]", $big);
            NatLab::write_file("$dir/$files[1]", $small);
          }
          push @jobs, [$job, $lab->ns('client'), $dir, RealClients::script($name,
            host => $lab->external, port => $port{$engine}, tls => $tls, $way => \@files), $engine eq 'off' ? $seconds + 8 : ()];
          push @expected, {
            job => $job, engine => $engine, what => "$name, " . ($tls ? 'FTPS' : 'FTP') . ($way eq 'get' ? ' down' : ' up'),
            files => [map { $way eq 'get' ? "$dir/$_" : $server{$engine}->home . "/$_" } @files],
          };
        }
      }
    }
  }

  my %result = RealClients::together(5 * $seconds, @jobs);
  # A QUIT that the router drops leaves its session behind.
  ok(Net::wait_for(sub { !$server{auto}->children }, 5), "a router that forgets after $FORGET s: every session has ended");

  for my $case (sort { $a->{what} cmp $b->{what} or $b->{engine} cmp $a->{engine} } @expected) {
    my $result = $result{ $case->{job} };
    my ($first, $second) = @{ $case->{files} };
    my $well = $result->{status} eq '0' && arrived($first, $big) && arrived($second, $small);
    if ($case->{engine} eq 'off') {
      ok(!$well, "$case->{what}: without a keepalive it does not end well");
    } else {
      ok($well, sprintf '%s: ends well, the second transfer too, after %.1f s', $case->{what}, $result->{seconds})
        or diag substr $result->{said}, -2000;
      cmp_ok($result->{seconds}, '>', $FORGET, '... and took longer than the router remembers');
    }
  }
}

matrix(4, 'KeepaliveRule * interval 2s method auto', 12);
# Nothing is configured, and the router forgets later: not after 30 s, at which
# rclone probes by itself.
matrix(29, '', 45) if $ENV{LONG};

done_testing;
