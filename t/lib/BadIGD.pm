package BadIGD;

# A small router of UPnP that forwards nothing and misbehaves. It answers to
# searches on the link of its address, in the namespace of the test or another:
#
#   my $igd = BadIGD->start(host => '127.0.0.2', outside => '9.9.9.7');
#   $igd->does(error => { AddPortMapping => 501 })    from now on; nothing: as it should
#   $igd->does(permanent => 1)      error 725, except for mappings without a lease
#   $igd->does(fault => 'agrees')   see below
#   $igd->rules, $igd->hold(61000, '127.0.0.9'), $igd->actions
#
# Faults: agrees (to a mapping, and makes none), replaces (that of another host,
# without a word), hangs, drips (an answer, for minutes), garbage (instead of an
# answer), elsewhere (its
# description names another host), location (its answer to a search names
# another host), nothing (it has no connection), second (only its second
# connection works).

use strict;
use warnings;
use parent 'Daemon';
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use Net;
use POSIX ();
use Socket qw(IPPROTO_IP IP_ADD_MEMBERSHIP inet_aton);
use Storable ();
use Time::HiRes qw(sleep);

use constant { GROUP => '239.255.255.250', PORT => 1900, ELSEWHERE => '127.0.0.99' };

sub start {
  my ($class, %opt) = @_;
  my $self = bless { host => '127.0.0.2', outside => '9.9.9.7', %opt, owner => $$ }, $class;
  $self->{dir} = File::Temp::tempdir('badigd-XXXXXX', TMPDIR => 1);
  $self->does;
  @$self{qw(ssdp http)} = Net::in($self->{netns}, sub {
    my $ssdp = IO::Socket::INET->new(LocalPort => PORT, Proto => 'udp', ReuseAddr => 1) or die "port 1900: $!";
    setsockopt $ssdp, IPPROTO_IP, IP_ADD_MEMBERSHIP, inet_aton(GROUP) . inet_aton($self->{host}) or die "no multicast: $!";
    ($ssdp, IO::Socket::INET->new(LocalAddr => $self->{host}, Listen => 64, Proto => 'tcp') // die "http: $!");
  });
  $self->{port} = $self->{http}->sockport;
  $self->{pid} = fork // die "fork: $!";
  if ($self->{pid} == 0) {
    $self->serve;
    POSIX::_exit(0);
  }
  $self->watched;
  delete @$self{qw(ssdp http)};
  return $self;
}

sub keep { my ($self, $name, $what) = @_; Storable::store($what, "$self->{dir}/new"); rename "$self->{dir}/new", "$self->{dir}/$name" or die "rename: $!" }
sub kept { my ($self, $name) = @_; return eval { Storable::retrieve("$self->{dir}/$name") } // {} }

sub does { my ($self, %does) = @_; $self->keep(does => \%does) }
sub hold { my ($self, $port, $host) = @_; $self->keep(rules => { %{ $self->kept('rules') }, $port => { outer => $port, inner => $port, host => $host, lifetime => 0 } }) }
sub rules { my ($self) = @_; my $rules = $self->kept('rules'); return map { $rules->{$_} } sort { $a <=> $b } keys %$rules }
sub actions { my ($self) = @_; open my $file, '<', "$self->{dir}/actions" or return (); chomp(my @lines = <$file>); return @lines }

# Below: the serving process.

sub serve {
  my ($self) = @_;
  my $parent = getppid;
  my $select = IO::Select->new(@$self{qw(ssdp http)});
  $SIG{PIPE} = 'IGNORE';
  while (getppid == $parent) {
    for my $socket ($select->can_read(1)) {
      if ($socket == $self->{ssdp}) {
        $self->search($socket);
      } elsif (my $client = $socket->accept) {
        $self->answer($client);
      }
    }
  }
}

sub fault { my ($self, $name) = @_; return ($self->kept('does')->{fault} // '') eq $name }

sub search {
  my ($self, $socket) = @_;
  my $client = $socket->recv(my $request, 2000) // return;
  my ($type) = $request =~ /^M-SEARCH .*^ST: *(\S+)/msi or return;
  my $host = $self->fault('location') ? ELSEWHERE : $self->{host};
  $socket->send("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: $type\r\nUSN: uuid:1::$type\r\nEXT:\r\n"
    . "SERVER: BadIGD\r\nLOCATION: http://$host:$self->{port}/desc.xml\r\n\r\n", 0, $client);
}

sub description {
  my ($self) = @_;
  my $base = $self->fault('elsewhere') ? 'http://' . ELSEWHERE . ":$self->{port}" : '';
  my @services = $self->fault('nothing') ? () : $self->fault('second') ? ([WANIPConnection => '/dead'], [WANPPPConnection => '/ctl']) : ([WANIPConnection => '/ctl']);
  my $services = join '', map {
    "<service><serviceType>urn:schemas-upnp-org:service:$_->[0]:1</serviceType><serviceId>urn:upnp-org:serviceId:$_->[0]</serviceId>"
      . "<controlURL>$base$_->[1]</controlURL><eventSubURL>$base/event</eventSubURL><SCPDURL>$base/scpd.xml</SCPDURL></service>"
  } @services;
  return '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>'
    . '<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>'
    . '<deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>'
    . "<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList>$services</serviceList>"
    . '</device></deviceList></device></deviceList></device></root>';
}

sub answer {
  my ($self, $client) = @_;
  my $request = '';
  until ($request =~ /^(.*?)\r\n\r\n(.*)/s and length $2 >= (($1 =~ /^Content-Length: *(\d+)/mi)[0] // 0)) {
    IO::Select->new($client)->can_read(5) && sysread $client, $request, 4096, length $request or return;
  }
  return $self->send_http($client, 200, $self->description) if $request =~ /^GET/;
  my ($path) = $request =~ /^POST (\S+)/ or return;
  my ($action) = $request =~ /^SOAPAction: *"?[^"#]*#(\w+)/mi or return;
  my %value = $request =~ m{<(New\w+)>([^<]*)</New\w+>}g;
  open my $log, '>>', "$self->{dir}/actions" or die $!;
  print $log join(' ', $action, map { $value{$_} // () } qw(NewExternalPort NewInternalPort NewLeaseDuration)), "\n";
  close $log;
  my $does = $self->kept('does');
  if (($does->{fault} // '') eq 'hangs') {
    push @{ $self->{hanging} }, $client;
    return;
  }
  return drip($client) if ($does->{fault} // '') eq 'drips';
  return $self->send_http($client, 200, 'x' x 100) if ($does->{fault} // '') eq 'garbage';
  my $code = $does->{error}{$action} // ($path eq '/dead' && $action ne 'GetStatusInfo' ? 501 : undef);
  my $said = $code // $self->act($action, \%value, $does, $path);
  if (!ref $said) {
    return $self->send_http($client, 500, envelope("<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        . "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>$said</errorCode></UPnPError></detail></s:Fault>"));
  }
  my $values = join '', map { "<$_>$said->{$_}</$_>" } sort keys %$said;
  $self->send_http($client, 200, envelope("<u:${action}Response xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">$values</u:${action}Response>"));
}

# A byte at a time, for as long as there is a server.
sub drip {
  my ($client) = @_;
  my $server = $$;
  return if fork // die "fork: $!";
  syswrite $client, "HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n";
  sleep 0.5 while getppid == $server and syswrite $client, 'x';
  POSIX::_exit(0);
}

sub envelope { return qq(<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>$_[0]</s:Body></s:Envelope>) }

sub send_http {
  my ($self, $client, $status, $body) = @_;
  print $client "HTTP/1.1 $status X\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
  close $client;
}

# What an action answers: its values, or a code.
sub act {
  my ($self, $action, $value, $does, $path) = @_;
  my $fault = $does->{fault} // '';
  my $rules = $self->kept('rules');
  my $port  = $value->{NewExternalPort};
  my $rule  = defined $port ? $rules->{$port} : undef;
  if ($action eq 'GetStatusInfo') {
    return { NewConnectionStatus => $path eq '/dead' ? 'Disconnected' : 'Connected', NewLastConnectionError => 'ERROR_NONE', NewUptime => 9 };
  } elsif ($action eq 'GetExternalIPAddress') {
    return { NewExternalIPAddress => $does->{outside} // $self->{outside} };
  } elsif ($action eq 'GetSpecificPortMappingEntry') {
    return $rule ? { NewInternalPort => $rule->{inner}, NewInternalClient => $rule->{host}, NewEnabled => 1,
      NewPortMappingDescription => 'x', NewLeaseDuration => $rule->{lifetime} } : 714;
  } elsif ($action eq 'DeletePortMapping') {
    return 714 unless $rule;
    delete $rules->{$port};
  } else {
    return 725 if $does->{permanent} and $value->{NewLeaseDuration};
    return 718 if $rule and $rule->{host} ne $value->{NewInternalClient} and $fault ne 'replaces';
    return {} if $fault eq 'agrees';
    $rules->{$port} = { outer => $port, inner => $value->{NewInternalPort}, host => $value->{NewInternalClient}, lifetime => $value->{NewLeaseDuration} };
  }
  $self->keep(rules => $rules);
  return {};
}

1;
