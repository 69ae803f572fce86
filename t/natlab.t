# The laboratory itself: the router does what is said of it, two laboratories
# stand side by side, and each goes away however its test ends.

use strict;
use warnings;
use NatLab;
use IO::Select;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

if (my $reason = NatLab::unavailable()) {
  plan skip_all => $reason;
}

sub namespaces { my ($prefix) = @_; return scalar(() = glob "/run/netns/$prefix-*") }

{
  my ($one, $two) = map { NatLab->new->internet } 1, 2;
  chomp(my @seen = map { $_->run(server => qw(curl -sS -m 5 http://ip.example/)) } $one, $two);
  is_deeply(\@seen, [('198.51.100.7') x 2], 'the server is seen at the outside address of its router, in two laboratories at once');
  $one->change_address('198.51.100.77');
  chomp(@seen = map { $_->run(server => qw(curl -sS -m 5 http://ip.example/)) } $one, $two);
  is_deeply(\@seen, ['198.51.100.77', '198.51.100.7'], 'an address changes in one of them only');
  like($one->run(server => qw(timeout 1 turnutils_stunclient 198.51.100.2)), qr/reflexive addr: 198\.51\.100\.77:/,
    'STUN sees the same address');
  chomp(my $direct = $one->run(client => qw(curl -sS -m 1 http://192.168.1.10/)));
  like($direct, qr/timed out|unreachable|(?:couldn't|could not) connect/i, 'nobody outside reaches a private address');
}

# A connection through the router that is idle for longer than it remembers.
{
  my $lab = NatLab->new(forget => 2, ports => '60000');
  my $listen = Net::in($lab->ns('server'), sub { IO::Socket::IP->new(LocalHost => '192.168.1.10', LocalPort => 60000, Listen => 1) });
  my %answer;
  for my $pause (0.5, 4) {
    my $client = Net::in($lab->ns('client'), sub { IO::Socket::IP->new(PeerHost => $lab->external, PeerPort => 60000, Timeout => 3) })
      or die "connect: $@";
    my $server = $listen->accept;
    sleep $pause;
    syswrite $server, 'x';
    $answer{$pause} = IO::Select->new($client)->can_read(1.5) ? 1 : 0;
  }
  is_deeply(\%answer, { 0.5 => 1, 4 => 0 }, 'the router forgets a connection after its idle time, and not before');
}

# However the test that made it ends.
my %end = (
  'a normal end' => sub { exit 0 },
  'die'          => sub { open STDERR, '>', '/dev/null'; die 'as a test would' },
  'Ctrl-C'       => sub { kill 'INT', $$; sleep 5 },
  'SIGKILL'      => sub { kill 'KILL', $$; sleep 5 },
);
for my $how (sort keys %end) {
  pipe my $read, my $write or die $!;
  my $pid = fork // die $!;
  if ($pid == 0) {
    close $read;
    my $lab = NatLab->new;
    $lab->spawn(server => 'sleep', 1000);
    syswrite $write, "$lab->{prefix} $lab->{dir}\n";
    Test::More->builder->no_ending(1);
    $end{$how}->();
    POSIX::_exit(0);
  }
  close $write;
  my ($prefix, $dir) = split ' ', readline $read;
  is(namespaces($prefix), scalar @NatLab::HOSTS, "$how: the laboratory was up");
  waitpid $pid, 0;
  ok(Net::wait_for(sub { !namespaces($prefix) && !-e $dir }, 10), "$how: nothing is left of it");
}

done_testing;
