package Scenarios;

# Tests that mostly wait, run at the same time: each in a process of its own,
# whose results the test reports in the order in which they were written down.

use strict;
use warnings;
use POSIX ();
use Test::More;

# run(how many at once, [name, code], ...): the code calls check(truth, sentence,
# why not); dying is a failure.
my $out;

sub check($$;$) {
  my ($truth, $sentence, $why) = @_;
  print {$out} join("\t", $truth ? 1 : 0, $sentence, ($why // '') =~ s/[\t\r\n]+/ | /gr), "\n";
  return $truth;
}

sub start {
  my ($name, $code) = @_;
  pipe my $read, my $write or die "pipe: $!";
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    close $read;
    $out = $write;
    $out->autoflush(1);
    eval { $code->(); 1 } or check(0, 'it runs to its end', $@);
    close $out;
    POSIX::_exit(0);
  }
  close $write;
  return [$name, $pid, $read];
}

sub report {
  my ($job) = @_;
  my ($name, $pid, $read) = @$job;
  my $count = 0;
  while (my $line = <$read>) {
    chomp $line;
    my ($truth, $sentence, $why) = split /\t/, $line, 3;
    ok($truth, "$name: $sentence") or diag $why;
    $count++;
  }
  waitpid $pid, 0;
  ok(0, "$name: it was not killed") if $?;
  ok(0, "$name: nothing was checked") unless $count;
}

sub run {
  my ($at_once, @scenarios) = @_;
  my @running;
  for my $scenario (@scenarios) {
    report(shift @running) if @running == $at_once;
    push @running, start(@$scenario);
  }
  report($_) for @running;
}

1;
