package Nginx;

# A real nginx on loopback that answers every request with one text.

use strict;
use warnings;
use parent 'Daemon';
use File::Temp ();
use Net;
use POSIX ();

# start(answer => text, [host =>, port =>, netns =>, locations => text])
sub start {
  my ($class, %opt) = @_;
  my $self = bless { host => '127.0.0.1', %opt, owner => $$ }, $class;
  $self->{port} //= Net::free_port($self->{host}, $self->{netns});
  my $dir = $self->{dir} = File::Temp::tempdir('nginx-test-XXXXXX', TMPDIR => 1);
  $self->answer($self->{answer} // '');
  $self->{pid} = fork // die "fork: $!";
  if ($self->{pid} == 0) {
    open STDERR, '>', "$dir/stderr";
    exec Net::prefix($self->{netns}), 'nginx', '-c', "$dir/nginx.conf", '-e', "$dir/error.log"
      or POSIX::_exit(127);
  }
  Net::wait_port(@$self{qw(host port netns)}) or die 'nginx does not listen';
  return $self;
}

# What it answers from now on.
sub answer {
  my ($self, $text) = @_;
  my $dir = $self->{dir};
  my $locations = $self->{locations} // qq{location / { return 200 "$text"; }};
  open my $file, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!";
  print $file <<"EOC";
daemon off; worker_processes 1; pid $dir/pid; user root;
events { worker_connections 256; }
http {
  access_log $dir/access.log; default_type text/plain;
  client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir;
  uwsgi_temp_path $dir; scgi_temp_path $dir;
  server { listen $self->{host}:$self->{port}; $locations }
}
EOC
  close $file;
  return $self unless $self->{pid};
  kill 'HUP', $self->{pid};
  Net::wait_for(sub { ($self->get // '') eq $text }, 5) or die 'nginx does not take its new answer';
  return $self;
}

sub get {
  my ($self) = @_;
  my $socket = Net::in($self->{netns}, sub {
    IO::Socket::IP->new(PeerHost => $self->{host}, PeerPort => $self->{port}, Timeout => 2);
  }) or return;
  print $socket "GET / HTTP/1.0\r\n\r\n";
  local $/;
  my ($body) = readline($socket) =~ /\r\n\r\n(.*)/s;
  return $body;
}

sub uri { my ($self) = @_; return "http://$self->{host}:$self->{port}/" }

sub requests {
  my ($self) = @_;
  open my $log, '<', "$self->{dir}/access.log" or return 0;
  return scalar(() = <$log>);
}

# By TERM, whatever the signal: a killed master leaves its worker listening.
sub stop { my ($self) = @_; return $self->SUPER::stop }

1;
