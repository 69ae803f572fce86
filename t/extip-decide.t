#!/usr/bin/perl
# mod_extip decides: sources that lie, glitch, die and come back, all of them
# real web servers, asked every second.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Limits;
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my @web = ExtIP::webs(('9.9.9.9') x 3);
my $server = ExtIP::server(\@web, "ExtIPRefresh 1s 1s\nExtIPTimeout 1s\n");
ok(ExtIP::known($server, '9.9.9.9'), 'three sources agree');
my $client = ExtIP::client($server)->login;
is(ExtIP::announced($client), '9.9.9.9', '... and are believed');

sub answers { my @texts = @_; $web[$_]->answer($texts[$_]) for 0 .. $#web }

# Waits until all web servers have been asked again so many times.
sub rounds {
  my ($count) = @_;
  my @before = map { $_->requests } @web;
  return Net::wait_for(sub { !grep { $web[$_]->requests < $before[$_] + $count } 0 .. $#web }, 20);
}

answers('9.9.9.9', '9.9.9.9', '8.8.8.8');
ok(rounds(2), 'one of three lies');
is(ExtIP::announced($client), '9.9.9.9', '... it is not believed');

answers('9.9.9.9', '8.8.4.4', '8.8.8.8');
ok(rounds(3), 'two of three lie, differently');
is(ExtIP::announced($client), '9.9.9.9', '... neither is believed');
my @said = ExtIP::log($server) =~ /no decision, .*: keeping 9\.9\.9\.9/g;
is(scalar @said, 1, '... which the log says once');
like(ExtIP::status($server), qr/last round  (?:sources disagree|1 say .* and the quorum is 2)/, '... and status, too');

answers('8.8.8.8', '8.8.8.8', '9.9.9.9');
ok(ExtIP::known($server, '8.8.8.8'), 'two of three say a new address: it is adopted');
is(ExtIP::announced($client), '8.8.8.8', '... and announced');
unlike(ExtIP::log($server), qr/address is now 8\.8\.4\.4/, 'no lie was ever adopted');

# All dead, then back.
$_->stop for @web;
ok(Net::wait_for(sub { (() = ExtIP::log($server) =~ /no decision, .*: keeping 8\.8\.8\.8/g) == 1 }, 10), 'all sources are dead');
is(ExtIP::announced($client), '8.8.8.8', '... the known address is announced');
is(ExtIP::announced(ExtIP::client($server)->login), '8.8.8.8', '... also to who comes now');
@web = ExtIP::webs(('8.8.8.8') x 3);
ok(Net::wait_for(sub { ExtIP::log($server) =~ /8\.8\.8\.8 confirmed after \d+ rounds/ }, 5), 'they are back: it is confirmed');

# One of one.
{
  my $script = ExtIP::script('127.0.0.9', qw(9.9.9.9 8.8.8.8 9.9.9.9 9.9.9.9 1.1.1.1 1.1.1.1 1.1.1.1 4.4.4.4 5.5.5.5 1.1.1.1));
  $server = ExtIP::server([$script], "ExtIPRefresh 1s 1s\n");
  ok(ExtIP::known($server, '1.1.1.1'), 'one of one says a new address twice in a row: adopted');
  unlike(ExtIP::log($server), qr/address is now 8\.8\.8\.8/, '... says another once: not adopted');
  ok(Net::wait_for(sub { ExtIP::log($server) =~ /one source said 4\.4\.4\.4 and then 5\.5\.5\.5: keeping 1\.1\.1\.1/ }, 10),
    '... says two others in a row: neither is adopted');
}

# One endpoint has one vote, however often it is named.
{
  $_->answer('9.9.9.9') for @web;
  $server = ExtIP::server([@web[0, 1]], "ExtIPRefresh 1s 1s\nExtIPQuorum 2\nExtIPSource http://127.0.0.2:8080/other\n");
  ok(ExtIP::known($server, '9.9.9.9'), 'three sources at two endpoints');
  $web[0]->answer('8.8.8.8');
  ok(Net::wait_for(sub { ExtIP::log($server) =~ /no decision/ }, 5), 'one endpoint lies in both of its sources');
  unlike(ExtIP::log($server), qr/address is now 8\.8\.8\.8/, '... which is one vote');
}

# A server whose pages are these: path => [what it says, after how many seconds].
sub pages {
  my ($host, %pages) = @_;
  my $socket = IO::Socket::INET->new(LocalAddr => $host, LocalPort => 8090, Listen => 20, ReuseAddr => 1) or die "pages: $!";
  my $pid = fork // die "fork: $!";
  return bless { pid => $pid, owner => $$ }, 'ExtIP::Script' if $pid;
  $SIG{CHLD} = 'IGNORE';
  while (my $client = $socket->accept) {
    next if fork // die "fork: $!";
    my ($path) = (readline($client) // '') =~ m{^GET (\S+)} or POSIX::_exit(0);
    my ($text, $seconds) = @{ $pages{$path} };
    sleep $seconds;
    print $client "HTTP/1.0 200 OK\r\nContent-Length: @{[length $text]}\r\n\r\n$text";
    POSIX::_exit(0);
  }
}

# Two names of one endpoint that contradict each other have no vote, and one vote
# is no quorum of two, whoever is heard last.
{
  Net::own_mounts();
  my $hosts = File::Temp->new;
  print $hosts "127.0.0.1 localhost\n127.0.0.2 also.example\n";
  close $hosts;
  chmod 0644, "$hosts";
  system('mount', '--bind', "$hosts", '/etc/hosts') == 0 or die 'no /etc/hosts of its own';
  for my $slow (qw(a b c)) {
    my %after = map { $_ => $_ eq $slow ? 1 : 0 } qw(a b c);
    my @pages = (pages('127.0.0.2', '/a' => ['9.9.9.9', $after{a}], '/b' => ['8.8.8.8', $after{b}]),
      pages('127.0.0.3', '/c' => ['9.9.9.9', $after{c}]));
    $server = ExtIP::server(['http://127.0.0.2:8090/a', 'http://also.example:8090/b', 'http://127.0.0.3:8090/c'],
      "ExtIPQuorum 2\nExtIPRefresh 1m\n");
    ok(Net::wait_for(sub { ExtIP::log($server) =~ /no decision, 1 say 9\.9\.9\.9 and the quorum is 2/ }, 10),
      "one endpoint contradicts itself, $slow is slow: no decision");
    unlike(ExtIP::log($server), qr/address is now/, '... and no address was adopted before');
  }
}

# Ten that hang take as long as one.
{
  my @deaf = ExtIP::deaf(map { "127.0.1.$_" } 1 .. 10);
  $_->answer('9.9.9.9') for @web;
  my $begin = time;
  $server = ExtIP::server([@web, map { "http://127.0.1.$_:8080/" } 1 .. 10], "ExtIPTimeout 1s\nExtIPQuorum 3\n");
  my $client = ExtIP::client($server)->login;
  ok(Net::wait_for(sub { (() = ExtIP::log($server) =~ /source http\S+: timeout:/g) == 10 }, 20), 'ten sources hang');
  my $took = time - $begin;
  cmp_ok($took, '>', 0.9, '... until the time-out');
  cmp_ok($took, '<', 9 * Limits::slowness(), '... which is one for all');
  is(join(' ', ExtIP::log($server) =~ /timeout: no answer in (\d+) ms/g), join(' ', (1000) x 10), '... and not the 5 s of a server that does not say');
}

done_testing;
