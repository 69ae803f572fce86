package Daemon;

# A process of a test and its directory, which go when the test is done with
# them: what Coturn, Nginx and BadServer have in common. Needs {pid}, {dir} and
# {owner}, the process that started it.

use strict;
use warnings;
use File::Path qw(remove_tree);
use Janitor;

# To be called when it runs: it does not outlive the test.
sub watched { my ($self) = @_; Janitor::watch(@$self{qw(pid dir)}); return }

sub stop {
  my ($self, $signal) = @_;
  my $pid = delete $self->{pid} or return;
  local $?;
  kill $signal // 'TERM', $pid;
  waitpid $pid, 0;
  Janitor::forget($pid);
  return;
}

sub DESTROY {
  my ($self) = @_;
  return unless $$ == $self->{owner};
  local ($?, $@);
  $self->stop;
  remove_tree($self->{dir}) if $self->{dir};
  return;
}

1;
