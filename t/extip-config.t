#!/usr/bin/perl
# The configuration of mod_extip as "proftpd -t" sees it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

# The configuration, and what the message must name: directive, value, and what
# is allowed.
my @bad = (
  ['ExtIPEngine maybe'         => qr/ExtIPEngine: 'maybe': .*expected on or off/],
  ["<Anonymous ~ftp>\nExtIPEngine on\n</Anonymous>" => qr/ExtIPEngine: .*not allowed in <Anonymous>/],
  ["<Directory /tmp>\nExtIPSource http://127.0.0.1/\n</Directory>" => qr/ExtIPSource: .*not allowed in <Directory>/],
  ['ExtIPSource'               => qr/ExtIPSource: expected a URI: stun:/],
  ['ExtIPSource ftp://127.0.0.1/' => qr/ExtIPSource: 'ftp:[^']*': unknown source: allowed are stun:/],
  ['ExtIPSource stun:'         => qr/ExtIPSource: 'stun:': the host is missing/],
  ['ExtIPSource stun:127.0.0.1:99999' => qr/ExtIPSource: '[^']*:99999': the port must be a number from 1 to 65535/],
  ['ExtIPSource http://127.0.0.1/ extract'       => qr/ExtIPSource: .*: a value must follow 'extract'/],
  ['ExtIPSource http://127.0.0.1/ extract xml:a' => qr/ExtIPSource: extract 'xml:a': allowed are body, json:/],
  ['ExtIPSource http://127.0.0.1/ header nonsense' => qr/ExtIPSource: .*: header 'nonsense/],
  ['ExtIPSource stun:127.0.0.1 extract body'     => qr/ExtIPSource: .*: only http: and https: sources take extract/],
  ['ExtIPSource https://me:secret@/x'            => qr/ExtIPSource: (?!.*secret).*: the host is missing/],
  ['ExtIPQuorum 0'             => qr/ExtIPQuorum: '0': .*1 to 16/],
  ['ExtIPQuorum 17'            => qr/ExtIPQuorum: '17': .*1 to 16/],
  ['ExtIPQuorum +2'            => qr/ExtIPQuorum: '\+2': .*1 to 16/],
  ['ExtIPQuorum 2x'            => qr/ExtIPQuorum: '2x': .*1 to 16/],
  ['ExtIPQuorum 18446744073709551618' => qr/ExtIPQuorum: '18446744073709551618': .*1 to 16/],
  ['ExtIPRefresh'              => qr/ExtIPRefresh: expected an interval/],
  ['ExtIPRefresh 0'            => qr/ExtIPRefresh: '0': .*from 1s to 2592000s/],
  ['ExtIPRefresh 5mins'        => qr/ExtIPRefresh: '5mins': .*such as/],
  ['ExtIPRefresh 5m 6m'        => qr/ExtIPRefresh: '6m': .*from 1s to 300s/],
  ['ExtIPRefresh 5m 5s 5s'     => qr/ExtIPRefresh: expected an interval/],
  ['ExtIPRefresh 99999999999'  => qr/ExtIPRefresh: '99999999999': .*from 1s to 2592000s/],
  ['NATPasvLocal lan auto'     => qr/NATPasvLocal: 'auto' stands alone: expected auto, none, or names of classes/],
  ['ExtIPTimeout 0s'           => qr/ExtIPTimeout: '0s': .*from 1s to 300s/],
  ['ExtIPTimeout 6m'           => qr/ExtIPTimeout: '6m': .*from 1s to 300s/],
  ['ExtIPMaxAge 0'             => qr/ExtIPMaxAge: '0': .*or none/],
  ['ExtIPMaxAge never'         => qr/ExtIPMaxAge: 'never': .*or none/],
  ['ExtIPBind localhost'       => qr/ExtIPBind: 'localhost': .*IPv4 address/],
  ['ExtIPBind 127.0.0.01'      => qr/ExtIPBind: '127.0.0.01': .*IPv4 address/],
  ['ExtIPBind ::1'             => qr/ExtIPBind: '::1': .*IPv4 address/],
  ['ExtIPBind 0.0.0.0'         => qr/ExtIPBind: '0.0.0.0': .*IPv4 address/],
  ['ExtIPTable /' . 'a' x 4200 => qr/ExtIPTable: '.*absolute path/],
  ['ExtIPTable extip.tab'      => qr/ExtIPTable: 'extip.tab': .*absolute path/],
  ['ExtIPOptions'              => qr/ExtIPOptions: expected AllowReserved/],
  ['ExtIPOptions AllowAll'     => qr/ExtIPOptions: 'AllowAll': .*AllowReserved or AnnounceToAll/],
  ['ExtIPGateway'              => qr/ExtIPGateway: '': expected auto or the IPv4 address of the router/],
  ['ExtIPGateway router'       => qr/ExtIPGateway: 'router': expected auto or/],
  ['ExtIPGateway 0.0.0.0'      => qr/ExtIPGateway: '0.0.0.0': expected auto or/],
  ['ExtIPGateway 224.0.0.1'    => qr/ExtIPGateway: '224.0.0.1': expected auto or/],
  ['ExtIPGateway auto igd'     => qr/ExtIPGateway: 'igd': expected pcp, natpmp or upnp/],
  ['ExtIPGateway auto pcp PCP' => qr/ExtIPGateway: PCP is given twice/],
  ['ExtIPForward'              => qr/ExtIPForward: expected off, or what is to be forwarded/],
  ['ExtIPForward any-port'     => qr/ExtIPForward: expected off, or what is to be forwarded/],
  ['ExtIPForward off passive'  => qr/ExtIPForward: 'off': expected off, or control/],
  ['ExtIPForward data'         => qr/ExtIPForward: 'data': expected off, or control/],
  ['ExtIPForward passive max'  => qr/ExtIPForward: a value must follow 'max'/],
  ['ExtIPForward passive max 0' => qr/ExtIPForward: max '0': expected a number from 1 to 1000/],
  ['ExtIPForward passive max 1001' => qr/ExtIPForward: max '1001': expected a number from 1 to 1000/],
  ['ExtIPForward passive max +1' => qr/ExtIPForward: max '\+1': expected a number/],
  ['ExtIPForward passive lifetime 1m' => qr/ExtIPForward: '1m': .*from 120s to 86400s/],
  ["<VirtualHost 127.0.0.2>\nExtIPForward control\n</VirtualHost>" => qr/ExtIPForward: .*not allowed in <VirtualHost>/],
  ['ExtIPSource natpmp:router' => qr/ExtIPSource: 'natpmp:router': only the IPv4 address of the router may follow natpmp:/],
  ['ExtIPSource pcp:192.168.1.1:5351' => qr/ExtIPSource: '[^']*': only the IPv4 address of the router/],
  ['ExtIPSource natpmp: extract body' => qr/ExtIPSource: .*: only http: and https: sources take extract/],
  ['ExtIPCACertificate ca.pem' => qr/ExtIPCACertificate: 'ca.pem': .*absolute path/],
  ['ExtIPCACertificate /nonexistent/ca.pem' => qr{ExtIPCACertificate: '/nonexistent/ca.pem': .*PEM}],
  ['ExtIPCACertificate /tmp'   => qr{ExtIPCACertificate: '/tmp': .*file}],
  ['ExtIPLog extip.log'        => qr/ExtIPLog: 'extip.log': .*absolute path or none/],
  ["<VirtualHost 127.0.0.2>\nExtIPLog none\n</VirtualHost>" => qr/ExtIPLog: .*not allowed in <VirtualHost>/],
  ['ExtIPControlsACLs all permit user root'   => qr/ExtIPControlsACLs: 'permit': .*allow or deny/],
  ['ExtIPControlsACLs all allow users root'   => qr/ExtIPControlsACLs: 'users': .*user or group/],
  ['ExtIPControlsACLs restart allow user root' => qr/ExtIPControlsACLs: .*'restart'.*forwards, refresh, status/],
  ['ExtIPControlsACLs all allow user'         => qr/ExtIPControlsACLs: expected <actions>\|all allow\|deny/],
);

# One value each, and no second one.
my %what = (
  (map { ("ExtIP$_" => qr/a duration/) } qw(MaxAge Timeout)),
  ExtIPBind => qr/an IPv4 address of this host/,
  ExtIPCACertificate => qr/the path of a file/,
  ExtIPEngine => qr/on or off/,
  ExtIPQuorum => qr/a number/,
  (map { ("ExtIP$_" => qr/an absolute path or none/) } qw(Log Table)),
);
for my $directive (sort keys %what) {
  push @bad, [$directive => qr/$directive: expected $what{$directive}/],
    ["$directive a b" => qr/$directive: expected $what{$directive}/];
}

# Where a directive may not stand.
my %value = (
  ExtIPBind => '192.0.2.1', ExtIPCACertificate => '/etc/passwd', ExtIPLog => 'none', ExtIPMaxAge => '1h',
  ExtIPOptions => 'AnnounceToAll', ExtIPQuorum => 1, ExtIPRefresh => '5m', ExtIPSource => 'if:lo',
  ExtIPTable => 'none', ExtIPTimeout => '5s', NATPasvLocal => 'auto',
);
my %main_only = (
  ExtIPControlsACLs => 'all allow user root', ExtIPForward => 'off', ExtIPGateway => 'auto', ExtIPLog => 'none',
  ExtIPProbe => 'http://192.0.2.1/{port}', ExtIPTable => 'none',
);
push @bad, map { ["<Anonymous ~ftp>\n$_ $value{$_}\n</Anonymous>" => qr/$_: .*not allowed in <Anonymous>/] } sort keys %value;
push @bad, map { ["<Global>\n$_ $main_only{$_}\n</Global>" => qr/$_: .*not allowed in <Global>/] } sort keys %main_only;

my @good = (
  'ExtIPEngine off',
  "ExtIPEngine on\nExtIPSource stun:stun.example.net",
  'ExtIPSource stun:192.0.2.1:3479?transport=tcp',
  'ExtIPSource stuns:stun.example.net:443',
  'ExtIPSource https://ip.example.net/json extract json:/ip header "Accept: application/json"',
  'ExtIPSource http://ip.example.net/trace extract line:ip=',
  'ExtIPSource http://ip.example.net/ extract header:X-Client-IP',
  'ExtIPSource dns:home.example.net',
  'ExtIPSource if:eth0',
  "ExtIPSource ec2:\nExtIPSource gce:\nExtIPSource azure:",
  'ExtIPQuorum 2',
  'ExtIPRefresh 1s',
  'ExtIPRefresh 10min 30sec',
  'ExtIPRefresh 01:00:00 00:00:05',
  'ExtIPTimeout 10',
  'ExtIPMaxAge none',
  'ExtIPMaxAge 12h',
  'ExtIPBind 192.168.1.2',
  'ExtIPGateway auto',
  'ExtIPGateway 192.168.1.1 natpmp',
  'ExtIPGateway AUTO UPnP pcp natpmp',
  'ExtIPForward off',
  'ExtIPForward control',
  'ExtIPForward passive control any-port max 1000 lifetime 1h',
  "ExtIPSource natpmp:\nExtIPSource pcp:192.168.1.1",
  'ExtIPTable /var/lib/proftpd/extip.tab',
  'ExtIPOptions AllowReserved AnnounceToAll',
  'ExtIPOptions announcetoall',
  "ExtIPCACertificate PEM",
  'ExtIPLog none',
  'ExtIPLog /var/log/proftpd/extip.log',
  'ExtIPControlsACLs refresh,status allow user root,daemon',
  "<Global>\nExtIPEngine on\nExtIPSource stun:192.0.2.1\nExtIPRefresh 1m\n</Global>",
  "<VirtualHost 127.0.0.2>\nExtIPEngine on\nExtIPSource stun:192.0.2.1\nExtIPBind 127.0.0.2\n</VirtualHost>",
);

my $pem = Server::certificate();
s{ PEM\z}{ $pem} for @good;

for my $case (@bad) {
  my ($config, $says) = @$case;
  my ($status, $output) = Server->configtest(modules => ['mod_extip'], config => "$config\n");
  my $name = $config =~ s/\n/ /gr;
  ok($status != 0, "\"$name\" is refused");
  like($output, $says, '... by name, with the value and what is allowed');
}

for my $config (@good) {
  my ($status, $output) = Server->configtest(modules => ['mod_extip'], config => "$config\n");
  is($status, 0, '"' . ($config =~ s/\n/ /gr) . '" is accepted') or diag $output;
  unlike($output, qr/extip/i, '... without a remark');
}

# Accepted, but said.
for my $case (
  ['ExtIPEngine on' => qr/'test \(127\.0\.0\.1:2121\)', but there is no ExtIPSource/, 'an engine without a source'],
  ["ExtIPEngine on\nExtIPSource stun:192.0.2.1\nExtIPQuorum 2" => qr/ExtIPQuorum 2 .*never be reached with 1 source at 1 endpoint/,
    'a quorum beyond the number of sources'],
  ["ExtIPEngine on\n" . join("\n", map { "ExtIPSource stun:192.0.2.$_" } 1 .. 17) => qr/17 ExtIPSource .*first 16/,
    'more sources than are asked'],
) {
  my ($config, $says, $name) = @$case;
  my ($status, $output) = Server->configtest(modules => ['mod_extip'], config => "$config\n");
  is($status, 0, "$name is no error");
  like($output, $says, '... but is mentioned');
}

done_testing;
