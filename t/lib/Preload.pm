package Preload;

# Calls of the C library that fail, or do something else, for a daemon and all
# that it starts: a library that is loaded before all others.
#
#   Server->start(env => Preload::no_netlink(), ...);
#   ... env => Preload::library('no-fork', 'pid_t fork(void) { ... }') ...

use strict;
use warnings;
use File::Temp ();

my $dir;

# The environment that loads it.
sub library {
  my ($name, $functions) = @_;
  $dir //= File::Temp->newdir('preload-XXXXXX', TMPDIR => 1);
  chmod 0755, $dir;
  open my $cc, '|-', 'gcc', '-shared', '-fPIC', '-x', 'c', '-o', "$dir/$name.so", '-', '-ldl' or die $!;
  print $cc <<"EOC";
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
$functions
EOC
  close $cc or die 'gcc';
  chomp(my $first = $ENV{SANITIZE} ? `gcc -print-file-name=libasan.so` : '');
  return { LD_PRELOAD => join ':', grep { $_ } $first, "$dir/$name.so" };
}

# A socket that the kernel does not have: CONDITION of domain and type, the error,
# and how often.
sub no_socket {
  my ($name, $call, $condition, $errno, $times) = @_;
  my ($more, $fds) = $call eq 'socketpair' ? (', int fds[2]', ', fds') : ('', '');
  $times //= 1_000_000;
  return library($name, <<"EOC");
int $call(int domain, int type, int protocol$more) {
  static int times;
  if (($condition) && times++ < $times) { errno = $errno; return -1; }
  return ((int (*)(int, int, int$more)) dlsym(RTLD_NEXT, "$call"))(domain, type, protocol$fds);
}
EOC
}

sub no_netlink { return no_socket('no-netlink', 'socket', 'domain == AF_NETLINK', 'EAFNOSUPPORT') }

1;
