#!/usr/bin/perl
# The configuration of mod_keepalive as "proftpd -t" sees it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

my @modules = qw(mod_ifsession mod_keepalive);

# The configuration, and what the message must name: directive, value, and
# what is allowed.
my @bad = (
  ['KeepaliveEngine'             => qr/KeepaliveEngine: .*on or off/],
  ['KeepaliveEngine maybe'       => qr/KeepaliveEngine: 'maybe': expected on or off/],
  ['KeepaliveEngine on off'      => qr/KeepaliveEngine: .*one parameter/],
  ["<Anonymous ~ftp>\nKeepaliveEngine on\n</Anonymous>" => qr/KeepaliveEngine: .*not allowed in <Anonymous>/],
  ["<Directory /tmp>\nKeepaliveEngine on\n</Directory>" => qr/KeepaliveEngine: .*not allowed in <Directory>/],
  ['KeepaliveRule'               => qr/KeepaliveRule: expected <class>\|\*/],
  ['KeepaliveRule * 60'          => qr/KeepaliveRule: '60': expected interval/],
  ['KeepaliveRule * interval'    => qr/KeepaliveRule: 'interval' needs a value/],
  ['KeepaliveRule * interval 0'  => qr/KeepaliveRule: interval '0': expected a duration from 1s to 32767s/],
  ['KeepaliveRule * interval -1' => qr/KeepaliveRule: interval '-1': expected/],
  ['KeepaliveRule * interval 24h'    => qr/KeepaliveRule: interval '24h': expected/],
  ['KeepaliveRule * interval 5m30s'  => qr/KeepaliveRule: interval '5m30s': expected/],
  ['KeepaliveRule * interval 5 method ssl'   => qr/KeepaliveRule: method 'ssl': expected one of auto, tcp, tls, reply, telnet, none/],
  ['KeepaliveRule * interval 5 deadline 3'   => qr/KeepaliveRule: deadline '3s': expected more than the interval of 5s/],
  ['KeepaliveRule * interval 5 deadline 2d'  => qr/KeepaliveRule: deadline '2d': expected a duration/],
  ['KeepaliveRule * interval 5 interval 6'   => qr/KeepaliveRule: 'interval' is allowed once/],
  ['KeepaliveRule * interval 5 every 6'      => qr/KeepaliveRule: 'every': expected interval <duration>, method/],
  ['KeepaliveRule * method none deadline 60s' => qr/KeepaliveRule: deadline '60s': needs probes, and method none sends none/],
  ['KeepaliveRule *lan interval 5'           => qr/KeepaliveRule: class '\*lan': expected the name of a <Class>/],
  ["<Limit RETR>\nKeepaliveRule * interval 5\n</Limit>" => qr/KeepaliveRule: .*not allowed in <Limit>/],
  ['KeepaliveLog'                => qr/KeepaliveLog: .*an absolute path, or none/],
  ['KeepaliveLog keepalive.log'  => qr/KeepaliveLog: 'keepalive.log': expected an absolute path/],
  ['KeepaliveLog /a /b'          => qr/KeepaliveLog: .*one parameter/],
  ["<Global>\nKeepaliveLog none\n</Global>" => qr/KeepaliveLog: .*not allowed in <Global>/],
  ["<VirtualHost 127.0.0.2>\nKeepaliveLog none\n</VirtualHost>" => qr/KeepaliveLog: .*not allowed in <VirtualHost>/],
  ['KeepaliveControlsACLs status allow'            => qr/KeepaliveControlsACLs: expected <actions>\|all allow\|deny user\|group/],
  ['KeepaliveControlsACLs status permit user root' => qr/KeepaliveControlsACLs: 'permit': expected allow or deny/],
  ['KeepaliveControlsACLs status allow host root'  => qr/KeepaliveControlsACLs: 'host': expected user or group/],
  ['KeepaliveControlsACLs restart allow user root' => qr/KeepaliveControlsACLs: action 'restart': expected all, status/],
  ["<Global>\nKeepaliveControlsACLs all allow user root\n</Global>" => qr/KeepaliveControlsACLs: .*not allowed in <Global>/],
);

my $class = "<Class lan>\nFrom 192.168.0.0/16\n</Class>\n";
my @good = (
  'KeepaliveEngine on',
  'KeepaliveEngine off',
  'KeepaliveRule *',
  'KeepaliveRule * method tcp',
  'KeepaliveRule * deadline 10s',
  'KeepaliveRule * interval 60s',
  "${class}KeepaliveRule lan interval 5m method tcp",
  'KeepaliveRule * interval 00:05:00 method auto',
  'KeepaliveRule * interval 1 method tls deadline 2',
  'KeepaliveRule * deadline 1hr method reply interval 5min',
  'KeepaliveRule * interval 32767 method telnet',
  'KeepaliveRule * interval 5 method none',
  'KeepaliveLog /var/log/proftpd/keepalive.log',
  'KeepaliveLog none',
  'KeepaliveControlsACLs all allow user root',
  'KeepaliveControlsACLs status deny group nogroup,daemon',
  "<Global>\nKeepaliveEngine on\nKeepaliveRule * interval 5\n</Global>",
  "<VirtualHost 127.0.0.2>\nKeepaliveEngine on\nKeepaliveRule * interval 5\n</VirtualHost>",
  "<IfUser ftp>\nKeepaliveRule * interval 5\n</IfUser>",
  "$class<IfClass lan>\nKeepaliveRule * interval 5\n</IfClass>",
);

for my $case (@bad) {
  my ($config, $says) = @$case;
  my ($status, $output) = Server->configtest(modules => \@modules, config => "$config\n");
  my $name = $config =~ s/\n/ /gr;
  ok($status != 0, "\"$name\" is refused");
  like($output, $says, '... by name, with the value and what is allowed');
}

for my $config (@good) {
  my ($status, $output) = Server->configtest(modules => \@modules, config => "$config\n");
  is($status, 0, '"' . ($config =~ s/\n/ /gr) . '" is accepted') or diag $output;
  unlike($output, qr/keepalive/i, '... without a remark');
}

my ($status, $output) = Server->configtest(modules => \@modules, config => "KeepaliveRule lna interval 5\n");
is($status, 0, 'a rule for a class that is not there is no error');
like($output, qr/KeepaliveRule lna: there is no <Class lna>/, '... but is mentioned');

done_testing;
