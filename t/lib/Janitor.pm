package Janitor;

# Ends what a test has started and removes its directories, however the test
# ends: a process that reads from a pipe whose writing end dies with the test.

use strict;
use warnings;
use File::Path qw(remove_tree);
use IO::Handle;
use POSIX ();
use Time::HiRes qw(sleep);

my ($hired, $orders) = (0);

sub hire {
  return $orders if $hired == $$;
  pipe my $read, $orders or die "pipe: $!";
  $orders->autoflush(1);
  $hired = $$;
  my $pid = fork // die "fork: $!";
  return $orders if $pid;
  POSIX::setsid();
  $SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE ALRM);
  # What others wait for the end of is not kept open: prove's output, other pipes.
  POSIX::close($_) for grep { $_ != fileno $read } map { m{(\d+)$} } glob '/proc/self/fd/*';
  my %watched;
  while (my $line = readline $read) {
    my ($pid, $dir) = $line =~ /^(\d+) (.*)/ or next;
    if ($dir eq '-') { delete $watched{$pid} } else { $watched{$pid} = $dir }
  }
  kill 'TERM', keys %watched;
  for (1 .. 50) {
    last unless grep { kill 0, $_ } keys %watched;
    sleep 0.1;
  }
  kill 'KILL', keys %watched;
  remove_tree($_) for grep { -d } values %watched;
  POSIX::_exit(0);
}

# watch($pid, $directory), and forget($pid) by who has ended it himself.
sub watch { my ($pid, $dir) = @_; my $to = hire(); print $to "$pid $dir\n"; return }
sub forget { my ($pid) = @_; print $orders "$pid -\n" if $hired == $$; return }

1;
