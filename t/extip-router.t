#!/usr/bin/perl
# The router cooperates: mod_extip asks Debian's miniupnpd for the outside address
# and for forwards by PCP, NAT-PMP and UPnP, and keeps them, whatever happens to the
# router or the daemon.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BadRouter;
use Client;
use ExtIP;
use Router;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable() // Router::unavailable()) {
  plan skip_all => $reason;
}

my $lab = Router->new;
my $ports = 7;    # passive ones

sub config {
  my ($server, $source, $gateway, $forward) = @_;
  return Server::tls(dir => $lab->dir) . <<"EOC";
ExtIPEngine on
ExtIPSource $source
ExtIPRefresh 1h
ExtIPTable $server->{dir}/state/extip.tab
ExtIPGateway $gateway
ExtIPForward $forward
PassivePorts 61000 @{[60999 + $ports]}
EOC
}

sub start {
  my (@words) = @_;
  my $server = $lab->server(modules => ['mod_tls', 'mod_extip'], config => sub { config($_[0], @words) });
  $server->file('short', size => 20_000);
  return $server;
}

# A client outside, who believes the address in the 227 reply.
sub transfer {
  my ($name) = @_;
  $lab->run(client => 'curl', '--silent', '--ssl-reqd', '--insecure', '--user', 'ftp:ftp', '--disable-epsv',
    '--no-ftp-skip-pasv-ip', '--max-time', int Limits::of(0.5), '--output', '/dev/null', "ftp://@{[$lab->external]}/short");
  return $? == 0;
}

sub outer { return join ' ', map { "$_->{outer}>$_->{host}:$_->{inner}" } $lab->rules }
my $all = join ' ', map { "$_>192.168.1.10:$_" } 21, 61000 .. 60999 + $ports;

sub within { my ($code, $name, $seconds) = @_; ok(Net::wait_for($code, $seconds // 10), $name) or diag outer() }

# The daemon waits two seconds for the removal, which UPnP takes longer for.
for (['natpmp:', 'auto natpmp', ''], ['pcp:', 'auto pcp', ''], ['upnp:', 'auto upnp', 'max 2']) {
  my ($source, $gateway, $max) = @$_;
  if ($source eq 'upnp:' && !-x "$Server::BUILD/extip-upnp") {
    note 'this build has no UPnP';
    next;
  }
  my $begin = time;
  my $server = start($source, $gateway, "control passive $max");
  my $wanted = $max ? $all =~ s/(61000>\S+) .*/$1/r : $all;
  within(\&transfer, "$source a transfer from outside works");
  note sprintf '%s %.2f s after the start', $source, time - $begin;
  within(sub { outer() eq $wanted }, '... each port is forwarded, and no other');
  $server->stop;
  within(sub { outer() eq '' }, '... and none after the daemon has ended');
}

my $server = start('natpmp:', 'auto', 'control passive');
my $session = Client->connect('192.168.1.10', 21, netns => $lab->ns('branch'))->login;
within(sub { outer() eq $all }, 'by default PCP is spoken');
within(sub { ExtIP::announced($session) eq '9.9.9.7' }, 'a session announces the address that the router has');

# There is one early round in 10 s: if others were heard, the router would have to
# wait.
BadRouter::announce(from => '192.168.1.20', netns => $lab->ns('lan'), how => $_, outside => '9.9.9.66') for qw(natpmp pcp);
my $begin = time;
$lab->change_address('9.9.9.77');
within(sub { ExtIP::announced($session) eq '9.9.9.77' }, 'the router has another address: a session that was logged in announces it');
cmp_ok(time - $begin, '<', 9, '... at once: announcements of other hosts were not heard');
note sprintf '%.2f s after the change', time - $begin;

$lab->restart_router;
$begin = time;
within(sub { outer() =~ /^21>/ }, 'the router was restarted and has forgotten all: the control port is forwarded again');
note sprintf '%.2f s after the router was back', time - $begin;
within(sub { outer() eq $all }, '... and all others');
note sprintf '%.2f s after the router was back', time - $begin;

# The daemon's life. This router renews a forward by making another one in its
# place: it is looked at when all are renewed.
sub count { my ($text, $pattern) = @_; return scalar(() = $text =~ /$pattern/g) }
sub renewals { return count(ExtIP::log($server), qr/forwards 8 of 8 ports/) }
sub removals { return count(Server::slurp("$lab->{dir}/router.log"), qr/mapping removed/) }
my ($helper, $renewals, $removals) = (ExtIP::helper($server), renewals(), removals());
$server->hup;
ok(ExtIP::next_helper($server, 10, $helper), 'a reload starts another helper');
within(sub { renewals() > $renewals }, '... which renews the forwards');
within(sub { outer() eq $all }, '... and they are as before');
is(removals(), $removals, '... nor was one removed meanwhile');
my $nonces = sub { Server::slurp("$server->{dir}/state/extip.tab.forwards") };
my $known = $nonces->();
$server->stop('KILL');
is(outer(), $all, 'a killed daemon leaves its forwards');
$server->run;
within(sub { ($server->ctl('extip', 'forwards'))[1] =~ /^8 of 8 ports/ }, '... the next one has them, too');
is($nonces->(), $known, '... with the same nonces');
$server->reconfigure(sub { config($_[0], 'natpmp:', 'auto', 'control') });
$server->hup;
within(sub { outer() eq '21>192.168.1.10:21' }, 'a reload without passive: those forwards are removed');
$server->stop;
within(sub { outer() eq '' }, 'at the end all are');

# Another address of this host, as DHCP gives, and the same gateway: the default
# route stays, as with systemd. The router would keep what it has for the former
# address until that expires.
sub readdress {
  my ($from, $to) = @_;
  $lab->ip(server => "addr add 192.168.1.$to/24 dev eth0", "addr del 192.168.1.$from/24 dev eth0");
  $lab->restart_router;
}
$lab->run(server => 'sysctl', '-qw', 'net.ipv4.conf.all.promote_secondaries=1');
for (['pcp', ''], ['natpmp', ''], ['upnp', 'max 2']) {
  my ($protocol, $max) = @$_;
  next if $protocol eq 'upnp' && !-x "$Server::BUILD/extip-upnp";
  my $server = start("$protocol:", "auto $protocol", "passive $max");
  my $wanted = sub { my ($host) = @_; join ' ', map { "$_>192.168.1.$host:$_" } 61000 .. 60999 + ($max ? 2 : $ports) };
  within(sub { outer() eq $wanted->(10) }, "$protocol: the ports are forwarded to this host");
  readdress(10, 11);
  within(sub { outer() eq $wanted->(11) }, '... and, when it has another address, to that one', 20);
  readdress(11, 10);
  $server->stop;
  $lab->flush;
}

# The daemon is started before the network: there is no way to the router.
$lab->ip(server => 'route flush table main');
$server = start('if:lo', '192.168.1.1 pcp', 'passive');
within(sub { ExtIP::log($server) =~ /the router 192\.168\.1\.1 does not answer/ }, 'a start without a network: the router does not answer');
$lab->ip(server => 'route add 192.168.1.0/24 dev eth0');
within(sub { outer() =~ /^61000>192\.168\.1\.10:/ }, '... when there is one, the ports are forwarded', 20);
$lab->ip(server => 'route add default via 192.168.1.1');
$server->stop;

# Another host has one of the ports.
$lab->hold(61000, 'lan');
$server = start('natpmp:', 'auto pcp', 'control passive');
(my $others = $all) =~ s/61000>\S+/61000>192.168.1.20:61000/;
within(sub { ExtIP::log($server) =~ /router 192\.168\.1\.1 forwards 7 of 8 ports \(pcp\); port 61000: / }, 'a port of another host is not forwarded to us, which is said');
is(outer(), $others, '... nor another one instead');
$server->stop;
within(sub { outer() eq '61000>192.168.1.20:61000' }, '... and stays with that host');

# Carrier-grade NAT.
$server = start('pcp:', 'auto', 'control');
my $cgnat = qr/the router itself has 100\.64\.3\.3: carrier-grade NAT, nobody outside can reach this server; ask the provider for a public address/;
within(sub { outer() =~ /^21>/ }, 'before the provider has carrier-grade NAT, the control port is forwarded');
$lab->change_address('100.64.3.3');
within(sub { ExtIP::log($server) =~ $cgnat }, 'then the log says what is wrong');
$server->ctl('extip', 'refresh');
within(sub { ExtIP::status($server) =~ s/\s+/ /gr =~ $cgnat }, '... and so does the status', 15);
$server->stop;

done_testing;
