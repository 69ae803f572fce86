#!/usr/bin/perl
# Sources whose names have several addresses: one that is silent is not the end,
# whatever is spoken to it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadServer;
use Limits;
use List::Util qw(max min);
use Server;
use Test::More;

plan skip_all => 'a network namespace of its own needs root' unless Net::private();

# The dead addresses swallow what is sent there.
my @silent = map { "127.0.0.$_" } 9, 10;
$BadServer::DNS{'one-dead.names.example'}   = [$silent[0], '127.0.0.2'];
$BadServer::DNS{'two-dead.names.example'}   = [@silent, '127.0.0.2'];
$BadServer::DNS{'all-dead.names.example'}   = [@silent];
$BadServer::DNS{'closed.names.example'}     = ['127.0.0.12', '127.0.0.2'];
my $bad = BadServer->start(dns => 1);
Net::resolver($bad->{host});
system("nft 'add table ip dead; add chain ip dead input { type filter hook input priority 0; };"
  . " add rule ip dead input ip daddr { @{[join ', ', @silent]} } drop'") == 0 or die 'no packet filter';

my $tool = "$Server::BUILD/tools/extip-round";

# Each address but the last is given half of the time that is left: so these are
# sixteen seconds, and an address has four or more; and as many more as a machine is
# busy.
my $ms = int(16000 * max(1, min(3, Limits::slowness() / 2)));

# What is said of each of these sources, asked alone: nobody else's timer wakes
# the round that waits for it.
sub ask {
  my (@sources) = @_;
  return map { open my $out, '-|', $tool, '-c', $bad->ca, '-t', $ms, $_ or die "$tool: $!"; $out } @sources;
}
sub said { return map { my $line = readline($_) // ''; close $_; $line } @_ }

sub sources {
  my ($name) = @_;
  return map { s/127\.0\.0\.2/$name.names.example/r } $bad->stun('good'), $bad->stream('good'), $bad->stuns('named'),
    $bad->http('/good'), $bad->https('named', '/good'), $bad->cloud('ec2');
}

# Name, what it is, milliseconds that its silent addresses cost, and one more would.
my @cases = (['one-dead', 'the first address is silent', $ms / 2, $ms * 3 / 4], ['two-dead', 'two are silent', $ms * 3 / 4, $ms],
  ['closed', 'nobody listens at the first', 0, $ms / 2]);
my %asked = map { $_ => [ask(sources($_))] } map { $_->[0] } @cases;
my @dead = ask((sources('all-dead'))[0 .. 4]);

for my $case (@cases) {
  my ($name, $text, $from, $to) = @$case;
  for (said(@{ $asked{$name} })) {
    my ($kind) = /^(\w+)/;
    like($_, qr/^\S+ \[ok\] \Q@{[BadServer::GOOD]}\E peer 127\.0\.0\.2:/, "$text: $kind reaches the other");
    my ($took) = / (\d+) ms: $/ or next;
    ok($took >= $from * 0.9 && $took < $to, '... after the time of the others') or diag "$took ms";
  }
}

like($_, qr/\[timeout\].*: (?:nothing came back from any of 2 addresses|still connecting|.*[Tt]ime(?:d |-)?out.*)$/, 'all are silent: it says so')
  for said(@dead);

done_testing;
