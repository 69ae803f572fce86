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
  $self->{dir} = File::Temp::tempdir('nginx-test-XXXXXX', TMPDIR => 1);
  $self->answer($self->{answer} // '');
  $self->configure;
  $self->{pid} = fork // die "fork: $!";
  if ($self->{pid} == 0) {
    open STDERR, '>', "$self->{dir}/stderr";
    exec Net::prefix($self->{netns}), 'nginx', '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error.log"
      or POSIX::_exit(127);
  }
  $self->watched;
  Net::wait_port(@$self{qw(host port netns)}) or die 'nginx does not listen';
  return $self;
}

# What it answers from now on: a file, since the workers of before a reload go
# on accepting connections for a while.
sub answer {
  my ($self, $text) = @_;
  my $path = "$self->{dir}/answer";
  open my $file, '>', "$path.new" or die "$path.new: $!";
  print $file $text;
  close $file or die "$path.new: $!";
  rename "$path.new", $path or die "$path: $!";
  return $self;
}

sub configure {
  my ($self) = @_;
  my $dir = $self->{dir};
  my $locations = $self->{locations} // "location / { root $dir; try_files /answer =500; }";
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
  close $file or die "$dir/nginx.conf: $!";
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
