# The configuration of mod_natpasv as "proftpd -t" sees it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use IO::Socket::IP;
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

my @modules = qw(mod_ifsession mod_natpasv);

# The configuration, and what the message names: directive, value, and what is
# allowed.
my $ports = qr/<port>\[-<port>\].*from 1024 to 65535/;
my @bad = (
  ['NATPasvEngine'        => qr/NATPasvEngine: expected one parameter, on or off/],
  ['NATPasvEngine maybe'  => qr/NATPasvEngine: 'maybe': expected on or off/],
  ['NATPasvEngine on off' => qr/NATPasvEngine: expected one parameter/],
  ["<Directory /tmp>\nNATPasvEngine on\n</Directory>" => qr/NATPasvEngine: .*not allowed in <Directory>/],
  ['NATPasvPool'          => qr/NATPasvPool: .*expected <name> <ports>/],
  ['NATPasvPool a'        => qr/NATPasvPool: .*expected <name> <ports>/],
  ['NATPasvPool a/b 40000-40009'  => qr/NATPasvPool: 'a\/b' cannot name a pool: expected 1 to 31/],
  ["NATPasvPool @{['x' x 32]} 40000" => qr/NATPasvPool: 'x{32}' cannot name a pool/],
  ['NATPasvPool a 40000-'         => qr/NATPasvPool: ports '40000-' of pool 'a' are not $ports/],
  ['NATPasvPool a 40009-40000'    => qr/NATPasvPool: ports '40009-40000' .*$ports/],
  ['NATPasvPool a 1023'           => qr/NATPasvPool: ports '1023' .*$ports/],
  ['NATPasvPool a 65536'          => qr/NATPasvPool: ports '65536' .*$ports/],
  ['NATPasvPool a +40000'         => qr/NATPasvPool: ports '\+40000' .*$ports/],
  ['NATPasvPool a 040000'         => qr/NATPasvPool: ports '040000' .*$ports/],
  ['NATPasvPool a 40000,,40002'   => qr/NATPasvPool: ports '40000,,40002' .*$ports/],
  ['NATPasvPool a 40000,40002,'   => qr/NATPasvPool: ports '40000,40002,' .*$ports/],
  ['NATPasvPool a 40000-40009,40009' => qr/NATPasvPool: ports '40000-40009,40009' .*each once/],
  ["NATPasvPool a @{[join ',', map { 40000 + 2 * $_ } 1 .. 65]}" => qr/NATPasvPool: ports .*at most 64 of/],
  ['NATPasvPool a 40000 extern 1' => qr/NATPasvPool: unknown word 'extern', expected <name> <ports> \[external/],
  ['NATPasvPool a 40000 external' => qr/NATPasvPool: wrong number of parameters, expected <name>/],
  ['NATPasvPool a 40000-40009 external 65530' => qr/NATPasvPool: external '65530' is not a port from 1024 to 65526/],
  ['NATPasvPool a 40000 external 1-2'         => qr/NATPasvPool: external '1-2' is not a port/],
  ['NATPasvPool a 40000 external 50000 external 50001' => qr/NATPasvPool: 'external' is there twice/],
  ['NATPasvPool a 40000 listen eth0'          => qr/NATPasvPool: listen 'eth0' is not an IPv4 or IPv6 address/],
  ['NATPasvPool a 40000 quarantine soon'      => qr/NATPasvPool: quarantine 'soon' is not a duration such as/],
  ['NATPasvPool a 40000 quarantine 25h'       => qr/NATPasvPool: quarantine '25h' is not a duration/],
  ["NATPasvPool a 40000\nNATPasvPool a 40001" => qr/NATPasvPool: there is already a pool 'a', each pool needs a name/],
  ["NATPasvPool a 40000-40009\nNATPasvPool b 40009-40010" =>
    qr/NATPasvPool: ports '40009-40010' of pool 'b' overlap pool 'a' \(40000-40009\) at port 40009, each port can be in one/],
  ["<VirtualHost 127.0.0.2>\nNATPasvPool a 40000\n</VirtualHost>" => qr/NATPasvPool: .*not allowed in <VirtualHost>/],
  ["<Global>\nNATPasvPool a 40000\n</Global>"  => qr/NATPasvPool: .*not allowed in <Global>/],
  ["NATPasvEngine on\nNATPasvPool a 2100-2130\nNATPasvRule * pool a" =>
    qr/pool 'a' contains port 2121, on which server 'test' listens: leave it out/],
  ['NATPasvRule'                   => qr/NATPasvRule: .*expected <class>\|\* \[pool <name>\]/],
  ['NATPasvRule * pool'            => qr/NATPasvRule: wrong number of parameters, expected <class>/],
  ['NATPasvRule * port 40000'      => qr/NATPasvRule: unknown word 'port', expected <class>\|\*/],
  ['NATPasvRule * pool nowhere'    => qr/NATPasvRule \* of server 'test': no NATPasvPool is named 'nowhere'/],
  ["<IfUser ftp>\nNATPasvRule * pool nowhere\n</IfUser>" => qr/NATPasvRule \* .*no NATPasvPool is named 'nowhere'/],
  ['NATPasvRule * address'         => qr/NATPasvRule: wrong number of parameters/],
  ['NATPasvRule * address lokal'   => qr/NATPasvRule: address 'lokal' is not auto, extip, local, an IPv4 address or/],
  ['NATPasvRule * address 192.0.2.300' => qr/NATPasvRule: address '192.0.2.300' is not auto/],
  ['NATPasvRule * address ::1'     => qr/NATPasvRule: address '::1' is not auto/],
  ['NATPasvRule * wait -1'         => qr/NATPasvRule: wait '-1' is not a duration such as/],
  ['NATPasvRule * wait 5 wait 6'   => qr/NATPasvRule: 'wait' is there twice/],
  ["NATPasvRule * wait 5\nNATPasvRule * wait 6" => qr/NATPasvRule \*: there are two rules for '\*' in one section, expected one/],
  ["<Limit RETR>\nNATPasvRule * wait 1\n</Limit>" => qr/NATPasvRule: .*not allowed in <Limit>/],
  ['NATPasvTable'                  => qr/NATPasvTable: expected one parameter, an absolute path/],
  ['NATPasvTable natpasv.tab'      => qr/NATPasvTable: 'natpasv.tab': expected an absolute path/],
  ["<Global>\nNATPasvTable /a\n</Global>" => qr/NATPasvTable: .*not allowed in <Global>/],
  ['NATPasvLog'                    => qr/NATPasvLog: expected one parameter, an absolute path or none/],
  ['NATPasvLog natpasv.log'        => qr/NATPasvLog: 'natpasv.log': expected an absolute path or none/],
  ['NATPasvControlsACLs all allow user'         => qr/NATPasvControlsACLs: expected <actions>\|all allow\|deny user\|group <names>/],
  ['NATPasvControlsACLs all let user root'      => qr/NATPasvControlsACLs: second parameter 'let' is not allow or deny/],
  ['NATPasvControlsACLs all allow people root'  => qr/NATPasvControlsACLs: third parameter 'people' is not user or group/],
  ['NATPasvControlsACLs refresh allow user root' => qr/NATPasvControlsACLs: unknown action 'refresh', expected status, leases or all/],
);

my $lan = "<Class lan>\nFrom 192.168.0.0/16\n</Class>\n";
my @good = (
  'NATPasvEngine on',
  'NATPasvEngine off',
  "NATPasvEngine on\nPassivePorts 40000 40099\nMasqueradeAddress 192.0.2.1",
  'NATPasvPool a 1024-65535',
  'NATPasvPool a 40000',
  'NATPasvPool a 40100-40199,40000,40050-40059 EXTERNAL 50000 listen 127.0.0.1 quarantine 5m',
  "UseIPv6 on\nNATPasvPool a 40000-40001 external 65534 listen ::1 quarantine 0",
  'NATPasvPool a 40000 quarantine 00:01:30',
  "NATPasvPool a 40000-40009\nNATPasvPool b 40010-40019\nNATPasvRule * pool b",
  "${lan}NATPasvPool a 40000\nNATPasvRule lan pool a address local wait 0s\nNATPasvRule * address auto",
  'NATPasvRule * address 0.0.0.0',
  'NATPasvRule * address 198.51.100.1 wait 1hr',
  "<Global>\nNATPasvEngine on\nNATPasvRule * wait 3\n</Global>",
  "<VirtualHost 127.0.0.2>\nNATPasvEngine on\nNATPasvRule * wait 3\n</VirtualHost>",
  "<IfUser ftp>\nNATPasvRule * wait 3\n</IfUser>\n<IfGroup ftp>\nNATPasvRule * wait 3\n</IfGroup>",
  "${lan}<IfClass lan>\nNATPasvRule * wait 3\n</IfClass>\n<IfAuthenticated>\nNATPasvRule * wait 3\n</IfAuthenticated>",
  'NATPasvTable /run/natpasv.tab',
  "NATPasvLog /var/log/proftpd/natpasv.log\nNATPasvControlsACLs all allow user root",
  "NATPasvLog none\nNATPasvControlsACLs status,leases deny group daemon",
);

sub sentence { return $_[0] =~ s/\n/ | /gr =~ s/^(.{70}).*/$1.../r }

for my $case (@bad) {
  my ($config, $message) = @$case;
  my ($status, $output) = Server->configtest(modules => \@modules, config => "$config\n");
  ok($status != 0 && $output =~ $message, 'refused: ' . sentence($config)) or diag("exit $status: $output");
}

for my $config (@good) {
  my ($status, $output) = Server->configtest(modules => \@modules, config => "$config\n");
  ok($status == 0 && $output !~ /error/, 'accepted: ' . sentence($config)) or diag("exit $status: $output");
}

# What works, but may not for long: the warning names the remedy.
my $taken = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 40005, Listen => 1) or die "40005: $@";
open my $range, '<', '/proc/sys/net/ipv4/ip_local_port_range' or die $!;
my ($first, $last) = split ' ', <$range>;
open my $reserved, '<', '/proc/sys/net/ipv4/ip_local_reserved_ports' or die $!;
chomp(my $kept = <$reserved>);
my $line = join ',', ($kept || ()), '40000-40009';

my @warned = (
  ["MaxInstances 30\nNATPasvPool a 40000-40009\nNATPasvRule * pool a" =>
    qr/pool 'a' has 10 ports but MaxInstances allows 30 sessions.*enlarge the pool or lower MaxInstances/],
  ["NATPasvPool a 40000-40009\nNATPasvRule * pool a" =>
    qr/pool 'a' \(40000-40009\) is inside the kernel's ephemeral ports $first-$last.*net\.ipv4\.ip_local_reserved_ports = $line\n/],
  ["NATPasvPool a 40000-40009\nNATPasvRule * pool a" =>
    qr/something listens on port 40005 of pool 'a' already.*leave the port out of the pool/],
  ["NATPasvPool a 40000-40009" => qr/pool 'a' is used by no NATPasvRule: add 'pool a' to one/],
  ['' => qr/neither a NATPasvPool nor PassivePorts/],
  ['NATPasvRule partners wait 1' => qr/NATPasvRule partners of server 'test': there is no <Class partners>/],
  ['NATPasvRule * address extip' => qr/NATPasvRule \* of server 'test': address extip without mod_extip/],
  ['NATPasvRule * address ftp.example.invalid' => qr/NATPasvRule address 'ftp.example.invalid' has no IPv4 address now/],
);

for my $case (@warned) {
  my ($config, $message) = @$case;
  my ($status, $output) = Server->configtest(modules => \@modules, config => "NATPasvEngine on\n$config\n");
  ok($status == 0 && $output =~ $message, 'warned of: ' . sentence($config || 'no pool')) or diag("exit $status: $output");
}

my (undef, $output) = Server->configtest(modules => \@modules,
  config => "NATPasvEngine on\nNATPasvPool a 20000-20009\nNATPasvRule * pool a\n");
unlike($output, qr/mod_natpasv/, 'a sound configuration gives no warning');

done_testing;
