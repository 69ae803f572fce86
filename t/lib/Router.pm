package Router;

# The laboratory whose router forwards nothing until it is asked: NatLab with
# Debian's miniupnpd, which speaks NAT-PMP, PCP and UPnP. It works only with an
# address outside that is not reserved: here that is 9.9.9.7, in namespaces.
#
#   my $lab = Router->new;
#   $lab->rules                 what it forwards: ({ outer, inner, host }, ...)
#   $lab->restart_router        with its rules flushed; it says what it is up to
#   $lab->hold(61000, 'lan')    another host has had this port forwarded
#   $lab->change_address('9.9.9.77')     the router tells everybody
#   $lab->change_address('100.64.3.3')   carrier-grade NAT
#
# For what miniupnpd cannot do there is BadRouter.

use strict;
use warnings;
use parent -norequire, 'NatLab';
use IO::Select;
use IO::Socket::INET;
use NatLab;
use Net;

use constant { GATEWAY => '192.168.1.1', PORT => 5351 };

# In the foreground, for each forward asked for, it says something about every
# forward there is, also to the host's log or console: on a serial console the
# 64th then takes 140 ms instead of 10. "ip netns exec" has made a mount
# namespace for it.
use constant QUIETLY => 'for f in /dev/console /dev/log; do [ ! -e $f ] || mount --bind /dev/null $f; done; exec "$0" "$@"';

sub unavailable {
  return NatLab::unavailable() // ((grep { -x "$_/miniupnpd" } qw(/usr/sbin /sbin))
    ? undef : 'miniupnpd (Debian package miniupnpd-nftables) is missing');
}

# natpmp => 0: neither NAT-PMP nor PCP; upnp => 0; deny => '61000-61009': ports
# that it does not forward; started => 0: without miniupnpd for now
sub new {
  my ($class, %opt) = @_;
  my $self = $class->SUPER::new(wan => '9.9.9', natpmp => 1, upnp => 1, started => 1, %opt);
  $self->start_router if $self->{started};
  return $self;
}

# The firewall, with the chains into which miniupnpd puts its rules.
sub firewall {
  my ($self) = @_;
  $self->nft(<<'EOF');
flush ruleset
table inet nat {
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain in {
    type nat hook prerouting priority dstnat
    jump prerouting_miniupnpd
  }
  chain out {
    type nat hook postrouting priority srcnat
    jump postrouting_miniupnpd
    oifname "wan0" masquerade
  }
}
table inet filter {
  chain miniupnpd { }
  chain forward {
    type filter hook forward priority 0; policy drop
    ct state invalid drop
    ct state established,related accept
    iifname { "lan0", "branch0" } accept
    jump miniupnpd
  }
}
EOF
}

sub start_router {
  my ($self) = @_;
  my $dir = $self->{dir};
  my ($natpmp, $upnp) = map { $self->{$_} ? 'yes' : 'no' } qw(natpmp upnp);
  NatLab::write_file("$dir/miniupnpd.conf", <<"EOF");
ext_ifname=wan0
listening_ip=lan0
http_port=5000
enable_natpmp=$natpmp
enable_upnp=$upnp
secure_mode=yes
system_uptime=yes
uuid=00000000-0000-0000-0000-000000000001
upnp_table_name=filter
upnp_nat_table_name=nat
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
@{[map { "deny $_ 0.0.0.0/0 0-65535\n" } $self->{deny} // ()]}allow 1-65535 192.168.1.0/24 1-65535
deny 0-65535 0.0.0.0/0 0-65535
EOF
  $self->{router} = $self->spawn(router => 'sh', '-c', QUIETLY, 'miniupnpd', '-d', '-f', "$dir/miniupnpd.conf", '-P', "$dir/miniupnpd.pid");
  $self->answers or die "miniupnpd does not answer";
  return $self;
}

sub stop_router {
  my ($self, $signal) = @_;
  my $pid = delete $self->{router} or return;
  kill $signal // 'TERM', $pid;
  waitpid $pid, 0;
}

# As after a power cut: nothing is left of what it forwarded.
sub restart_router {
  my ($self) = @_;
  $self->stop_router('KILL');
  $self->flush;
  return $self->start_router;
}

sub flush {
  my ($self) = @_;
  $self->must(router => 'nft', 'flush', 'chain', 'inet', @$_)
    for [nat => 'prerouting_miniupnpd'], [nat => 'postrouting_miniupnpd'], [filter => 'miniupnpd'];
}

# Does it speak yet? UPnP by its web server, NAT-PMP by its port.
sub answers {
  my ($self) = @_;
  return Net::wait_port(GATEWAY, 5000, $self->ns('lan'), 10) unless $self->{natpmp};
  return Net::wait_for(sub { $self->ask('lan', "\0\0") }, 10);
}

# What the router forwards now, by the outer port.
sub rules {
  my ($self) = @_;
  return sort { $a->{outer} <=> $b->{outer} }
    map { /tcp dport (\d+) dnat ip to ([\d.]+):(\d+)/ ? { outer => $1, host => $2, inner => $3 } : () }
    map { s/\@nh,72,8 0x6 th dport/tcp dport/r } split /\n/, $self->must(router => qw(nft -nn list chain inet nat prerouting_miniupnpd));
}

# Sends a message to the router's NAT-PMP and PCP port from a host; returns the
# answer, or nothing.
sub ask {
  my ($self, $host, $message, $seconds) = @_;
  my $socket = Net::in($self->ns($host), sub { IO::Socket::INET->new(PeerAddr => GATEWAY, PeerPort => PORT, Proto => 'udp') })
    or die "no socket on $host: $!";
  $socket->send($message);
  IO::Select->new($socket)->can_read($seconds // Limits::of(1)) or return;
  $socket->recv(my $answer, 1100) // return;
  return $answer;
}

# Has ports forwarded to another host (lan if not said), by NAT-PMP.
sub hold {
  my ($self, $port, $host) = @_;
  my $answer = $self->ask($host // 'lan', pack 'C C n n n N', 0, 2, 0, $port, $port, 3600);
  my ($result, undef, undef, $outer) = unpack 'x2 n N n n', $answer // die 'the router is silent';
  $result == 0 && $outer == $port or die "the router does not forward port $port to $host: result $result, port $outer";
  return $self;
}

1;
