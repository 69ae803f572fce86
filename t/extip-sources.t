# Every kind of source with a real server on the other side: coturn and nginx.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadServer;
use Coturn;
use Nginx;
use Server;
use Test::More;

plan skip_all => 'a network namespace of its own needs root' unless Net::private();
for my $needed ([turnserver => 'coturn'], [nginx => 'nginx-light']) {
  plan skip_all => "$needed->[0] (Debian package $needed->[1]) is missing"
    unless grep { -x "$_/$needed->[0]" } qw(/usr/sbin /usr/bin /sbin /bin);
}

# What the servers see us at; in this namespace it is nobody else's.
my $us = '9.9.9.10';
system("ip addr add $us/32 dev lo") == 0 or die;

my $tool = "$Server::BUILD/tools/extip-round";
my $certificates = BadServer->start;
my ($cert, $key) = map { "$certificates->{dir}/good.$_" } qw(pem key);

my $nginx = Nginx->start(host => '127.0.0.2', locations => <<"EOC");
listen 127.0.0.2:8443 ssl;
ssl_certificate $cert;
ssl_certificate_key $key;
location / { return 200 "\$remote_addr\\n"; }
location /json { return 200 '{"you": [{"ip": "\$remote_addr"}], "at": "\$time_iso8601"}'; }
location /line { return 200 "host=\$host\\nip=\$remote_addr\\nport=\$remote_port\\n"; }
location /header { add_header X-Your-IP \$remote_addr; return 200 "see above"; }
location /redirect { return 302 /; }
location /secret { if (\$http_authorization != "Basic dTpw") { return 401; } return 200 \$remote_addr; }
EOC

my $coturn = Coturn->start(host => '127.0.0.2', cert => $cert, key => $key);

my $plain = $nginx->uri =~ s{/$}{}r;
my $tls = 'https://127.0.0.2:8443';
my @sources = (
  ['stun:127.0.0.2'],
  ['stun:127.0.0.2?transport=tcp'],
  ['stuns:127.0.0.2'],
  ["$plain/"],
  ["$tls/"],
  ["$tls/json",   extract => 'json:/you/0/ip'],
  ["$tls/line",   extract => 'line:ip='],
  ["$tls/header", extract => 'header:x-your-ip'],
  ["$plain/redirect"],
  [$plain =~ s{//}{//u:p@}r . '/secret'],
  ["$plain/secret", header => 'Authorization: Basic dTpw'],
);

my @words = map { (@$_, ',') } @sources;
open my $out, '-|', $tool, '-b', $us, '-c', $certificates->ca, '-t', 10_000, @words[0 .. $#words - 1] or die "$tool: $!";
for (@sources) {
  my $said = <$out> // '';
  like($said, qr/\[ok\] \Q$us\E peer 127\.0\.0\.2:\d+ /, "@$_ sees us");
}
close $out;

done_testing;
