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
  ['ExtIPEngine'               => qr/ExtIPEngine: expected on or off/],
  ['ExtIPEngine maybe'         => qr/ExtIPEngine: 'maybe' .*expected on or off/],
  ["<Anonymous ~ftp>\nExtIPEngine on\n</Anonymous>" => qr/ExtIPEngine: .*not allowed in <Anonymous>/],
  ["<Directory /tmp>\nExtIPSource http://127.0.0.1/\n</Directory>" => qr/ExtIPSource: .*not allowed in <Directory>/],
  ['ExtIPSource'               => qr/ExtIPSource: expected a URI: stun:/],
  ['ExtIPSource ftp://127.0.0.1/' => qr/ExtIPSource: .*ftp:.*stun:/],
  ['ExtIPSource stun:'         => qr/ExtIPSource: .*stun:/],
  ['ExtIPSource stun:127.0.0.1:99999' => qr/ExtIPSource: .*99999.*65535/],
  ['ExtIPSource http://127.0.0.1/ extract'       => qr/ExtIPSource: .*extract/],
  ['ExtIPSource http://127.0.0.1/ extract xml:a' => qr/ExtIPSource: .*xml:a.*body/],
  ['ExtIPSource http://127.0.0.1/ header nonsense' => qr/ExtIPSource: .*nonsense/],
  ['ExtIPSource stun:127.0.0.1 extract body'     => qr/ExtIPSource: .*extract/],
  ['ExtIPSource https://me:secret@/x'            => qr/ExtIPSource: (?!.*secret)/],
  ['ExtIPQuorum 0'             => qr/ExtIPQuorum: '0' .*1 to 16/],
  ['ExtIPQuorum 17'            => qr/ExtIPQuorum: '17' .*1 to 16/],
  ['ExtIPQuorum +2'            => qr/ExtIPQuorum: '\+2' .*1 to 16/],
  ['ExtIPQuorum 2x'            => qr/ExtIPQuorum: '2x' .*1 to 16/],
  ['ExtIPQuorum 18446744073709551618' => qr/ExtIPQuorum: '18446744073709551618' .*1 to 16/],
  ['ExtIPRefresh'              => qr/ExtIPRefresh: expected an interval/],
  ['ExtIPRefresh 0'            => qr/ExtIPRefresh: '0' .*1 to 2592000 seconds/],
  ['ExtIPRefresh 5mins'        => qr/ExtIPRefresh: '5mins' .*such as/],
  ['ExtIPRefresh 5m 6m'        => qr/ExtIPRefresh: '6m' .*1 to 300 seconds/],
  ['ExtIPRefresh 5m 5s 5s'     => qr/ExtIPRefresh: expected an interval/],
  ['ExtIPRefresh 99999999999'  => qr/ExtIPRefresh: '99999999999' .*1 to 2592000/],
  ['ExtIPTimeout 0s'           => qr/ExtIPTimeout: '0s' .*1 to 300 seconds/],
  ['ExtIPTimeout 6m'           => qr/ExtIPTimeout: '6m' .*1 to 300 seconds/],
  ['ExtIPTimeout 5 s'          => qr/ExtIPTimeout: expected a duration/],
  ['ExtIPMaxAge 0'             => qr/ExtIPMaxAge: '0' .*or none/],
  ['ExtIPMaxAge never'         => qr/ExtIPMaxAge: 'never' .*or none/],
  ['ExtIPBind localhost'       => qr/ExtIPBind: 'localhost' .*IPv4 address/],
  ['ExtIPBind 127.0.0.01'      => qr/ExtIPBind: '127.0.0.01' .*IPv4 address/],
  ['ExtIPBind ::1'             => qr/ExtIPBind: '::1' .*IPv4 address/],
  ['ExtIPBind 0.0.0.0'         => qr/ExtIPBind: '0.0.0.0' .*IPv4 address/],
  ['ExtIPTable extip.tab'      => qr/ExtIPTable: 'extip.tab' .*absolute path/],
  ["<Global>\nExtIPTable /var/lib/x.tab\n</Global>" => qr/ExtIPTable: .*not allowed in <Global>/],
  ['ExtIPOptions'              => qr/ExtIPOptions: expected AllowReserved/],
  ['ExtIPOptions AllowAll'     => qr/ExtIPOptions: 'AllowAll' .*AllowReserved or AnnounceToAll/],
  ['ExtIPCACertificate ca.pem' => qr/ExtIPCACertificate: 'ca.pem' .*absolute path/],
  ['ExtIPCACertificate /nonexistent/ca.pem' => qr{ExtIPCACertificate: '/nonexistent/ca.pem' .*PEM}],
  ['ExtIPCACertificate /tmp'   => qr{ExtIPCACertificate: '/tmp' .*file}],
  ['ExtIPLog extip.log'        => qr/ExtIPLog: 'extip.log' .*absolute path or none/],
  ["<VirtualHost 127.0.0.2>\nExtIPLog none\n</VirtualHost>" => qr/ExtIPLog: .*not allowed in <VirtualHost>/],
  ['ExtIPControlsACLs all permit user root'   => qr/ExtIPControlsACLs: 'permit' .*allow or deny/],
  ['ExtIPControlsACLs all allow users root'   => qr/ExtIPControlsACLs: 'users' .*user or group/],
  ['ExtIPControlsACLs restart allow user root' => qr/ExtIPControlsACLs: .*'restart'.*refresh, status/],
  ['ExtIPControlsACLs all allow user'         => qr/ExtIPControlsACLs: expected actions or all, allow or deny/],
);

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
  ['ExtIPEngine on' => qr/'server config' but there is no ExtIPSource/, 'an engine without a source'],
  ["ExtIPEngine on\nExtIPSource stun:192.0.2.1\nExtIPQuorum 2" => qr/ExtIPQuorum 2 .*never be reached with 1 sources/,
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
