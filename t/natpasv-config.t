# The configuration of mod_natpasv as "proftpd -t" sees it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use File::Temp ();
use IO::Socket::IP;
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

my @modules = qw(mod_ifsession mod_proxy_stub mod_proxy_protocol_stub mod_natpasv);

# Names for "address", for this test alone.
Net::own_mounts();
{
  my $hosts = File::Temp->new;
  print $hosts "127.0.0.1 localhost\n127.0.1.1 loop.example\n10.1.2.3 private.example\n192.0.2.1 two.example\n192.0.2.2 two.example\n";
  close $hosts;
  chmod 0644, "$hosts";
  system('mount', '--bind', "$hosts", '/etc/hosts') == 0 or die 'cannot mount over /etc/hosts';
}

# The configuration, and what the message names: directive, value, and what is
# allowed.
my $ports = qr/<port>\[-<port>\].*from 1024 to 65535/;
my @bad = (
  ['NATPasvEngine'        => qr/NATPasvEngine: expected one parameter, on or off/],
  ['NATPasvEngine maybe'  => qr/NATPasvEngine: 'maybe': expected on or off/],
  ['NATPasvEngine on off' => qr/NATPasvEngine: expected one parameter/],
  ["<Directory /tmp>\nNATPasvEngine on\n</Directory>" => qr/NATPasvEngine: .*not allowed in <Directory>/],
  ['NATPasvLocal'             => qr/NATPasvLocal: expected auto, none, or names of classes/],
  ['NATPasvPool a 40000-40009 slice 3' => qr{NATPasvPool: slice '3' is not <k>/<n> or hostname/<n>, with n up to 64 and k from 1 to n}],
  ['NATPasvPool a 40000-40009 slice 3/2' => qr{NATPasvPool: slice '3/2' is not <k>/<n>}],
  ['NATPasvPool a 40000-40009 slice %{env:NO_SUCH_NODE}/2' => qr{NATPasvPool: slice '/2' is not <k>/<n>.*: is the variable in %\{env:\.\.\.\} set\?}],
  ['NATPasvPool a 40000-40009 slice 1/4' => qr{NATPasvPool: slice 1/4: 10 ports cannot be divided into 4 equal parts: 8 or 12 can}],
  ["NATPasvPool a 40000-40009 slice 1/2\nNATPasvPool b 40000-40009 slice 1/2" => qr/NATPasvPool: ports '40000-40009' of pool 'b' overlap|ports '40000-40004' of pool 'b' overlap/],
  ['NATPasvLocal none lan'    => qr/NATPasvLocal: 'none' stands alone: expected auto, none, or names of classes/],
  ["<Directory /tmp>\nNATPasvLocal none\n</Directory>" => qr/NATPasvLocal: .*not allowed in <Directory>/],
  ['NATPasvRule * active on'  => qr/NATPasvRule: active 'on' is not peer, strict or off/],
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
  ['NATPasvPool a 40000 external 50000 external 50001' => qr/NATPasvPool: 'external' is given twice/],
  ['NATPasvPool a 40000 listen eth0'          => qr/NATPasvPool: listen 'eth0' is not an IPv4 or IPv6 address/],
  ['NATPasvPool a 40000 quarantine soon'      => qr/NATPasvPool: quarantine 'soon': expected a duration from 0s to 86400s/],
  ['NATPasvPool a 40000 quarantine 25h'       => qr/NATPasvPool: quarantine '25h': expected a duration/],
  ["NATPasvPool a 40000\nNATPasvPool a 40001" => qr/NATPasvPool: there is already a pool 'a': each pool needs a name/],
  ["NATPasvPool a 40000-40009\nNATPasvPool b 40009-40010" =>
    qr/NATPasvPool: ports '40009-40010' of pool 'b' overlap pool 'a' \(40000-40009\) at port 40009: each port can be in one/],
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
  ['NATPasvRule * from'            => qr/NATPasvRule: wrong number of parameters/],
  ['NATPasvRule * from client/0'   => qr/NATPasvRule: from 'client\/0' does not end with a number of bits from 1 to 128/],
  ['NATPasvRule * from client/129' => qr/NATPasvRule: from 'client\/129' does not end/],
  ['NATPasvRule * from client/+8'  => qr/NATPasvRule: from 'client\/\+8' does not end/],
  ['NATPasvRule * from 192.0.2.0/24' => qr/NATPasvRule: from '192.0.2.0\/24' is not auto\|client\|client/],
  ['NATPasvRule * from nobody'     => qr/NATPasvRule \* of server 'test': from nobody: there is no <Class nobody>/],
  ["<Class named>\nFrom .example.com\n</Class>\nNATPasvRule * from named" => qr/from named: 'From .*example.com' of <Class named> is not an address/],
  ["<Class other>\nFrom !192.0.2.1\n</Class>\nNATPasvRule * from other" => qr/from other: 'From .*192.0.2.1' of <Class other> is not an address/],
  ["<Class both>\nFrom 192.0.2.0/24\nFrom 192.0.2.1\nSatisfy all\n</Class>\nNATPasvRule * from both" => qr/from both: <Class both> has 'Satisfy all'/],
  ["NATPasvEngine on\nNATPasvPool a 40000-40009 external 50000\nNATPasvPool b 40010-40019 external 50009\nNATPasvRule * pool a" =>
    qr/outside port 50009 is announced for pool 'a' and for pool 'b', but can be forwarded to one/],
  ["NATPasvEngine on\nNATPasvPool a 40000-40009 external 40015\nNATPasvPool b 40010-40019\nNATPasvRule * pool b" =>
    qr/outside port 40015 is announced for pool 'a' and for pool 'b'/],
  ["NATPasvEngine on\nNATPasvPool a 40000-40009 external 2115\nNATPasvRule * pool a" =>
    qr/outside port 2121 of pool 'a' is the control port of server 'test'/],
  ["NATPasvEngine on\nNATPasvPool a 40000 listen 198.51.100.7\nNATPasvRule * pool a" =>
    qr/listen 198.51.100.7 of pool 'a' is no address of this host/],
  ['NATPasvRule * wait -1'         => qr/NATPasvRule: wait '-1': expected a duration/],
  ['NATPasvRule * share even'      => qr/NATPasvRule: share 'even' is not fair or any/],
  ['NATPasvRule * wait 5 wait 6'   => qr/NATPasvRule: 'wait' is given twice/],
  ["NATPasvRule * wait 5\nNATPasvRule * wait 6" => qr/NATPasvRule \*: there are two rules for '\*' in one section, expected one/],
  ["<Limit RETR>\nNATPasvRule * wait 1\n</Limit>" => qr/NATPasvRule: .*not allowed in <Limit>/],
  ['NATPasvTable'                  => qr/NATPasvTable: expected one parameter, none or an absolute path/],
  ['NATPasvTable natpasv.tab'      => qr/NATPasvTable: 'natpasv.tab': expected none or an absolute path/],
  ["<Global>\nNATPasvTable /a\n</Global>" => qr/NATPasvTable: .*not allowed in <Global>/],
  ['NATPasvLog'                    => qr/NATPasvLog: expected one parameter, an absolute path or none/],
  ['NATPasvLog natpasv.log'        => qr/NATPasvLog: 'natpasv.log': expected an absolute path or none/],
  ['NATPasvControlsACLs all allow user'         => qr/NATPasvControlsACLs: expected <actions>\|all allow\|deny user\|group <names>/],
  ['NATPasvControlsACLs all let user root'      => qr/NATPasvControlsACLs: 'let': expected allow or deny/],
  ['NATPasvControlsACLs all allow people root'  => qr/NATPasvControlsACLs: 'people': expected user or group/],
  ['NATPasvControlsACLs refresh allow user root' => qr/NATPasvControlsACLs: action 'refresh': expected all, status, leases, export/],
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
  "NATPasvPool a 40000-40009 slice 1/2\nNATPasvPool b 40000-40009 slice 2/2",
  "NATPasvRule * active off\n<Class a>\nFrom 10.0.0.0/8\n</Class>\nNATPasvLocal a",
  'NATPasvTable /run/natpasv.tab',
  'NATPasvTable none',
  'NATPasvRule * share any',
  'NATPasvRule * from auto',
  'NATPasvRule * from CLIENT',
  'NATPasvRule * from client/24 share any',
  'NATPasvRule * from any wait 1s',
  "${lan}NATPasvRule * from lan",
  "<Class all>\nFrom ALL\n</Class>\nNATPasvRule * from all",
  # What is told to the LAN alone is not outside.
  "NATPasvEngine on\nNATPasvPool a 20000-20009 external 20015\nNATPasvPool b 20010-20019\nNATPasvRule * pool b address local",
  'NATPasvRule * share Fair wait 1s',
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
    qr/pool 'a' has 10 ports, but MaxInstances allows 30 sessions.*enlarge the pool or lower MaxInstances/],
  ["NATPasvPool a 40000-40009\nNATPasvRule * pool a" =>
    qr/pool 'a' \(40000-40009\) is inside the kernel's ephemeral ports $first-$last.*net\.ipv4\.ip_local_reserved_ports = $line\n/],
  ["NATPasvPool a 40000-40009\nNATPasvRule * pool a" =>
    qr/another program listens on port 40005 of pool 'a' .*leave the port out of the pool/],
  ["NATPasvPool a 40000-40009" => qr/pool 'a' is used by no NATPasvRule: add 'pool a' to one/],
  ['' => qr/neither a NATPasvPool nor PassivePorts/],
  ['NATPasvRule partners wait 1' => qr/NATPasvRule partners of server 'test': there is no <Class partners>/],
  ['NATPasvRule * address extip' => qr/NATPasvRule \* of server 'test': address extip without mod_extip/],
  ['PassivePorts 2100 2130' => qr/PassivePorts 2100-2130 contain port 2121, on which a server listens: it is left out/],
  ["PassivePorts 40000 40100\nNATPasvPool a 40100-40109\nNATPasvRule nobody pool a" =>
    qr/PassivePorts 40000-40100 overlap pool 'a' \(40100-40109\) at port 40100: .*keep them apart/],
  ['NATPasvRule * address loop.example' => qr/NATPasvRule address 'loop.example' is 127.0.1.1 here, which no client on the Internet/],
  ['NATPasvRule * address private.example' => qr/NATPasvRule address 'private.example' is 10.1.2.3 here/],
  ['NATPasvRule * address two.example' => qr/NATPasvRule address 'two.example' has 2 IPv4 addresses, of which 192.0.2.\d is announced/],
  ['ProxyEngine on' => qr/server 'test' has ProxyEngine on: mod_proxy takes its passive ports from the kernel/],
  ['NATPasvRule * address ftp.example.invalid' => qr/NATPasvRule address 'ftp.example.invalid' has no IPv4 address now/],
);

# Data connections that would come from a balancer: what lets it in, and what
# does not.
my $balancer = "ProxyProtocolEngine on\n<Class balancer>\nFrom 10.0.0.2\n</Class>\nNATPasvPool a 20000-20009\n";
my $lines = qr/let them in with the line 'From <the balancer's address>' in a <Class balancer>, and 'from balancer' in the line NATPasvRule/;
push @warned, map { ["$balancer$_->[0]" => qr/server 'test' has ProxyProtocolEngine on.*$lines \Q$_->[1]\E$/m] }
  ['NATPasvRule * pool a', '*'],
  ['NATPasvRule * pool a from auto', '*'],
  ['NATPasvRule * pool a from client', '*'],
  ['NATPasvRule * pool a from client/24', '*'],
  ["NATPasvRule * pool a\nAllowForeignAddress off", '*'],
  ["NATPasvRule * pool a from balancer\nNATPasvRule lan pool a", 'lan'],
  ["NATPasvRule * pool a from balancer\n<IfUser x>\nNATPasvRule * pool a\n</IfUser>", '*'],
  ["NATPasvRule lan pool a from balancer\nPassivePorts 20010 20019", '*'];
for my $config ('NATPasvRule * pool a from balancer', 'NATPasvRule * pool a from any', "NATPasvRule * pool a\nAllowForeignAddress balancer",
  "NATPasvRule * pool a\nAllowForeignAddress on", "NATPasvRule * pool a\nProxyProtocolIgnore on") {
  my ($status, $output) = Server->configtest(modules => \@modules, config => "NATPasvEngine on\n$balancer$config\n");
  ok($status == 0 && $output !~ /ProxyProtocolEngine on/, 'not warned of a balancer: ' . sentence($config)) or diag("exit $status: $output");
}

for my $case (@warned) {
  my ($config, $message) = @$case;
  my ($status, $output) = Server->configtest(modules => \@modules, config => "NATPasvEngine on\n$config\n");
  ok($status == 0 && $output =~ $message, 'warned of: ' . sentence($config || 'no pool')) or diag("exit $status: $output");
}

# The list of the kernel is read whole, however long it is.
{
  my $long = join ',', (map { 10000 + 2 * $_ } 1 .. 200), '40000-40009';
  open my $out, '>', '/proc/sys/net/ipv4/ip_local_reserved_ports' or die $!;
  print $out "$long\n";
  close $out or die "ip_local_reserved_ports: $!";
  my (undef, $output) = Server->configtest(modules => \@modules,
    config => "NATPasvEngine on\nNATPasvPool a 40000-40009\nNATPasvRule * pool a\n");
  unlike($output, qr/ephemeral/, 'ports at the end of ' . length($long) . ' bytes of reservations are reserved');
  (undef, $output) = Server->configtest(modules => \@modules,
    config => "NATPasvEngine on\nNATPasvPool a 40010-40019\nNATPasvRule * pool a\n");
  like($output, qr/append this to the value of net\.ipv4\.ip_local_reserved_ports, which is too long to repeat here: ,40010-40019\n/,
    '... and the remedy loses none');
}

# What is sound gives no warning, and is close to what does.
my $pool = "NATPasvPool a 20000-20009\n";
my @sound = (
  "${pool}NATPasvRule * pool a",
  "MaxInstances 10\n${pool}NATPasvRule * pool a",
  "NATPasvPool a 2112-2120,2122-2131\nNATPasvRule * pool a",
  "<VirtualHost 127.0.0.2>\nPort 0\n</VirtualHost>\n${pool}NATPasvRule * pool a",
  "$pool<IfUser x>\nNATPasvRule * pool a\n</IfUser>",
  "$pool<VirtualHost 127.0.0.2>\nNATPasvEngine on\nNATPasvRule * pool a\n</VirtualHost>",
  "$pool<VirtualHost 127.0.0.2>\nNATPasvEngine on\nNATPasvRule * pool a wait 3s\n</VirtualHost>\nNATPasvRule * pool a",
  "$lan${pool}NATPasvRule lan pool a",
  "$lan${pool}NATPasvRule lan pool a\nNATPasvRule * pool a",
  "$lan<Class wan>\nFrom 192.0.2.0/24\n</Class>\n${pool}NATPasvRule lan pool a\nNATPasvRule wan pool a",
  "$lan${pool}NATPasvPool b 20010-20019\nNATPasvRule * pool a\nNATPasvRule lan pool b",
  "${lan}NATPasvPool a 20000-20009 external 50000\nNATPasvPool b 20010-20019 external 50010\nNATPasvRule * pool a\nNATPasvRule lan pool b",
  "${lan}NATPasvPool a 20000-20009 external 20020\nNATPasvPool b 20010-20019\nNATPasvRule * pool a\nNATPasvRule lan pool b",
  "NATPasvPool a 20000-20009 external 2122\nNATPasvRule * pool a",
  "NATPasvPool a 20000-20009 external 2111\nNATPasvRule * pool a",
  "NATPasvPool a 20000-20009 listen 127.0.0.1\nNATPasvRule * pool a",
  "PassivePorts 20000 20009",
  "PassivePorts 2122 2131",
  "PassivePorts 20010 20019\n$lan${pool}NATPasvRule lan pool a",
  "ProxyEngine off\nProxyProtocolEngine off\n${pool}NATPasvRule * pool a",
  "${pool}NATPasvRule * pool a address 192.0.2.1",
  "${pool}NATPasvRule * pool a address local",
  "$lan${pool}NATPasvRule * pool a from lan",
  "$lan${pool}NATPasvRule * pool a\nNATPasvLocal lan",
);
for my $config (@sound) {
  my ($status, $output) = Server->configtest(modules => \@modules, config => "NATPasvEngine on\n$config\n");
  ok($status == 0 && $output !~ /mod_natpasv/, 'sound: ' . sentence($config)) or diag("exit $status: $output");
}

done_testing;
