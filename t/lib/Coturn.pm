package Coturn;

# A real coturn on loopback that answers binding requests: UDP and TCP on port
# 3478, with a certificate TLS on 5349; with a user TURN as well.

use strict;
use warnings;
use parent 'Daemon';
use File::Temp ();
use Net;
use POSIX ();

# start(host =>, [cert =>, key =>,] [user => 'joe:secret'])
sub start {
  my ($class, %opt) = @_;
  my $self = bless { %opt, owner => $$, dir => File::Temp::tempdir('coturn-test-XXXXXX', TMPDIR => 1) }, $class;
  $self->{pid} = fork // die "fork: $!";
  if ($self->{pid} == 0) {
    open STDOUT, '>', "$self->{dir}/log";
    open STDERR, '>&', \*STDOUT;
    exec 'turnserver', '-n', '--no-cli', $opt{user} ? ('--lt-cred-mech', '--user', $opt{user}, '--realm', 'turn.example') : ('--stun-only', '--no-auth'), '--log-file', 'stdout',
      '--pidfile', "$self->{dir}/pid", '-L', $self->{host},
      $opt{cert} ? ('--cert', $opt{cert}, '--pkey', $opt{key}) : '--no-tls'
      or POSIX::_exit(127);
  }
  $self->watched;
  Net::wait_port($self->{host}, $_, undef) || die "coturn does not listen on port $_" for 3478, $opt{cert} ? 5349 : ();
  return $self;
}

1;
