# Which clients are told the local address: NATPasvLocal, by mod_extip alone, by
# mod_natpasv alone and by both, which share the text that decides.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use ExtIP;
use Server;
use Test::More;

my $why = Net::unavailable() // Server::unavailable();
plan skip_all => $why if $why;

# The host has a default gateway, and the clients are addresses of its own.
my ($inside, $lan, $router, $next) = ('192.168.1.10', '192.168.1.20', '192.168.1.1', '192.168.1.254');
system(<<"EOC") == 0 or die 'no network';
set -e
ip link add v0 type veth peer name v1
ip addr add $inside/24 dev v0
ip link set v0 up; ip link set v1 up
ip route add default via $router
for address in $lan $router $next; do ip addr add \$address/32 dev lo; done
EOC

# A gateway cannot be an address of this host, when its route is made.
sub gateway {
  my ($new, $old) = @_;
  system("ip route del default via $old && ip addr del $new/32 dev lo && ip route add default via $new && ip addr add $new/32 dev lo") == 0
    or die 'no route';
}
ExtIP::addresses();
my $outside = $ExtIP::outside;
my ($web) = ExtIP::webs('9.9.9.9');

# A virtual host a line: what is configured, and what the client of the LAN, the
# one that looks like the router, and the one outside are told. L: the local
# address, E: the external one.
my @hosts = (
  ['',                          'L E E', 'a local client, but not the default gateway'],
  ['NATPasvLocal auto',         'L E E', 'auto is the same'],
  ['NATPasvLocal none',         'E E E', 'none: nobody is local'],
  ['NATPasvLocal lan',          'L E E', 'a class'],
  ['NATPasvLocal AUTO',         'L E E', 'auto in capital letters'],
  ['NATPasvLocal far router',   'E L L', 'classes, whatever addresses they have'],
  ['NATPasvLocal missing',      'E E E', 'a class that does not exist'],
  ["<IfClass lan>\nNATPasvLocal none\n</IfClass>", 'E E E', 'none for the LAN, by mod_ifsession'],
);
# What a virtual host does not have from the server config.
sub accounts { return "AuthUserFile $_[0]{dir}/passwd\nAuthOrder mod_auth_file.c\nRequireValidShell off\n" }
my $hosts = sub {
  my ($server, $text) = @_;
  my $n = 0;
  return join '', map { my $port = 2122 + $n++; "<VirtualHost $inside>\nPort $port\n" . accounts($server) . "$text$_->[0]\n</VirtualHost>\n" } @hosts;
};
my $classes = join '', map { "<Class $_->[0]>\nFrom $_->[1]\n</Class>\n" } ['lan', $lan], ['router', $router], ['far', $outside];

sub told { my ($port, $from) = @_; return (Client->connect($inside, $port, from => $from)->login->pasv)[0] }

my %setup = (
  'mod_extip' => [['mod_extip'], '9.9.9.9',
    sub { "$classes<Global>\n" . ExtIP::config($_[0], $web) =~ s/^ExtIPTable.*\n//mr . "</Global>\nExtIPTable none\n" . $hosts->($_[0], '') }],
  'mod_natpasv' => [['mod_natpasv'], '1.2.3.4',
    sub { "$classes<Global>\nNATPasvEngine on\nNATPasvRule * pool a\nMasqueradeAddress 1.2.3.4\n</Global>\nNATPasvPool a 30000-30009\n" . $hosts->($_[0], "MasqueradeAddress 1.2.3.4\n") }],
  'both' => [['mod_extip', 'mod_natpasv'], '9.9.9.9',
    sub { "$classes<Global>\nNATPasvEngine on\nNATPasvRule * pool a\n" . ExtIP::config($_[0], $web) =~ s/^ExtIPTable.*\n//mr . "</Global>\nExtIPTable none\nNATPasvPool a 30000-30009\n" . $hosts->($_[0], '') }],
);

my $notice = qr/the last 20 sessions came from \Q$lan\E, a local address, and were told the local address \Q$inside\E: this looks like a proxy .*NATPasvLocal/;
sub said { my ($server, $pattern) = @_; return scalar(() = ExtIP::log($server) =~ /$pattern/g) }

for my $name (sort keys %setup) {
  my ($modules, $external, $config) = @{ $setup{$name} };
  my $server = Server->start(bind => $inside, port => 2121, modules => ['mod_ifsession', @$modules], config => $config);
  ExtIP::known($server, '9.9.9.9') if $external eq '9.9.9.9';
  for my $n (0 .. $#hosts) {
    my ($directive, $expected, $what) = @{ $hosts[$n] };
    my @told = map { my $address = told(2122 + $n, $_); $address eq $inside ? 'L' : $address eq $external ? 'E' : $address } $lan, $router, $outside;
    is("@told", $expected, "$name: $what");
  }
  is(said($server, qr/there is no <Class missing>/), 1, "$name: a class that does not exist is said once");

  # The gateway changes, and a session that is there follows.
  my $client = Client->connect($inside, 2122, from => $router)->login;
  is(($client->pasv)[0], $external, "$name: a client that looks like the default gateway");
  gateway($next, $router);
  ok(Net::wait_for(sub { ($client->pasv)[0] eq $inside }, 3), '... is a local one when another host is the gateway');
  is(told(2122, $next), $external, '... and that one is told the external address');
  gateway($router, $next);

  # What looks like a proxy is said once.
  told(2122, $lan) for 1 .. 19;
  told(2122, $outside);
  told(2122, $lan) for 1 .. 19;
  is(said($server, $notice), 0, "$name: 19 sessions in a row, twice, are no proxy");
  told(2122, $lan);
  ok(Net::wait_for(sub { said($server, $notice) }, 5), '... 20 may be one') or diag ExtIP::log($server);
  told(2122, $_) for ($lan) x 3, $outside, ($lan) x 21;
  is(said($server, $notice), 1, '... which is said once');
  told(2125, $outside);
  told(2125, $lan) for 1 .. 21;
  is(said($server, $notice), 1, '... and not of a class that the operator calls local');
}

# Without a rule, everybody is told MasqueradeAddress, unless the operator says
# who is local.
{
  my $server = Server->start(bind => $inside, port => 2121, modules => ['mod_natpasv'], config => sub { <<"EOC" });
$classes
NATPasvEngine on
PassivePorts 30000 30009
MasqueradeAddress 1.2.3.4
<VirtualHost $inside>
Port 2122
@{[accounts(@_)]}NATPasvEngine on
PassivePorts 30000 30009
MasqueradeAddress 1.2.3.4
NATPasvLocal lan
</VirtualHost>
EOC
  is(told(2121, $lan), '1.2.3.4', 'no rule: a client of the LAN is told MasqueradeAddress');
  is(told(2122, $lan), $inside, '... but the local address if NATPasvLocal names its class');
  is(told(2122, $router), '1.2.3.4', '... which others are not told');
}

done_testing;
