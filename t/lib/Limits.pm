package Limits;

# How long a test may take and wait: the one place for it.
#
# A wait has a condition, and its limit is for what never comes: being generous
# costs nothing where all is well. Whoever waits names what it takes on an idle
# machine; the limit is four times that, twice as much under the sanitizers, and
# more by as much as the machine is busy. PATIENCE=2 doubles that, for waits, and
# makes no bar higher or lower.
#
# A bar, a duration that decides whether a test passes, is no such limit: it is
# measured alone (t/*-cost.t), in processor time, or as a ratio to something
# measured beside it.

use strict;
use warnings;
use List::Util qw(max min);

my $cpus = () = slurp('/proc/cpuinfo') =~ /^processor\b/mg;

sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> // '' }

# How much slower than an idle machine this one is now: 1 or more.
sub slowness {
  my ($load) = split ' ', slurp('/proc/loadavg');
  return ($ENV{SANITIZE} ? 2 : 1) * min(max(1, ($load || 0) / ($cpus || 1)), 10);
}

# The limit of a wait for what takes so many seconds on an idle machine.
my $patience = $ENV{PATIENCE} // 1;
sub of { my ($seconds) = @_; return 4 * $seconds * $patience * slowness() }

# The whole test. What hangs is told by its line, and the test cleans up.
my $owner = $$;
my $seconds = int(($ENV{LONG} ? 3600 : 300) * $patience * slowness());

sub expired {
  return if $$ != $owner;
  my ($line, $depth) = (0, 0);
  while (my (undef, $file, $at) = caller $depth++) { $line = $at if $file eq $0 }
  print STDERR "$0 line $line: the test is not done after $seconds s\n";
  exit 124;    # END runs
}

$SIG{ALRM} = \&expired;
alarm $seconds;

# Processes that the test has forked and not ended: one that keeps its output
# open, prove would wait for. A janitor does not listen to this.
END {
  if ($$ == $owner) {
    local $?;
    my @left = split ' ', slurp("/proc/$$/task/$$/children");
    kill 'TERM', @left if @left;
  }
}

# Memory, for the test and each process that it starts. Not with the
# sanitizers: they reserve terabytes that they do not use, and the thread that
# watches over a limit of their own ends sessions that inetd has started.
system('prlimit', "--pid=$$", '--data=' . (2 << 30)) unless $ENV{SANITIZE};

1;
