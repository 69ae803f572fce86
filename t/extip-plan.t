#!/usr/bin/perl
# What mod_extip makes of its directives, server by server: which apply where,
# and which servers share an answer.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $pem = Server::certificate();

# A virtual host called a, b, c ... that holds these directives. At one port
# ProFTPD tells them apart by an alias.
my $alias = 0;
sub host {
  my ($name, $text, $port) = @_;
  return "<VirtualHost 127.0.0.1>\nServerName $name\nServerAlias alias-@{[++$alias]}.example\n"
    . 'Port ' . ($port // ord $name) . "\n$text\n</VirtualHost>\n";
}
sub sources { return join "\n", map { "ExtIPSource stun:192.0.2.$_" } @_ }

my $usual = 'quorum 0, refresh 300 5, timeout 5, bind 0.0.0.0, ca -';
my @cases = (
  ['nothing', '', "server 'test': off, age 0: -"],
  ['the defaults', "ExtIPEngine on\n" . sources(1), <<"EOE"],
server 'test': on, age 0: server config
quest 'server config': $usual: stun:192.0.2.1
EOE
  ['every directive', "ExtIPEngine on\n" . sources(1, 2) . "\n" . <<"EOC", <<"EOE"],
ExtIPQuorum 2
ExtIPRefresh 00:10:00 1m
ExtIPTimeout 7
ExtIPMaxAge 1h
ExtIPBind 127.0.0.5
ExtIPCACertificate $pem
ExtIPOptions AllowReserved
ExtIPOptions AnnounceToAll
EOC
server 'test': on, to all, age 3600: server config
quest 'server config': quorum 2, refresh 600 60, timeout 7, bind 127.0.0.5, ca $pem, reserved: stun:192.0.2.1 stun:192.0.2.2
EOE
  ['an interval below the usual retry', "ExtIPEngine on\n" . sources(1) . "\nExtIPRefresh 3s", <<"EOE"],
server 'test': on, age 0: server config
quest 'server config': quorum 0, refresh 3 3, timeout 5, bind 0.0.0.0, ca -: stun:192.0.2.1
EOE
  ['sources without the engine', sources(1), "server 'test': off, age 0: -"],
  ['the engine without sources', 'ExtIPEngine on', "server 'test': on, age 0: -"],
  ['more sources than are asked', "ExtIPEngine on\n" . sources(1 .. 20), <<"EOE"],
server 'test': on, age 0: server config
quest 'server config': $usual: @{[join ' ', map { "stun:192.0.2.$_" } 1 .. 16]}
EOE

  ['what is outside of <Global> is for one server', "ExtIPEngine on\n" . sources(1) . "\n" . host('a', ''), <<"EOE"],
server 'test': on, age 0: server config
server 'a': off, age 0: -
quest 'server config': $usual: stun:192.0.2.1
EOE
  ['<Global>: servers that ask the same way share', "<Global>\nExtIPEngine on\n" . sources(1) . "\n</Global>\n" . host('a', '') . host('b', 'ExtIPMaxAge 5m'), <<"EOE"],
server 'test': on, age 0: server config
server 'a': on, age 0: server config
server 'b': on, age 300: server config
quest 'server config': $usual: stun:192.0.2.1
EOE
  ['<Global> and own sources: the own ones alone', "<Global>\nExtIPEngine on\n" . sources(1, 2) . "\n</Global>\n" . host('a', sources(3)), <<"EOE"],
server 'test': on, age 0: server config
server 'a': on, age 0: 127.0.0.1:97 a
quest 'server config': $usual: stun:192.0.2.1 stun:192.0.2.2
quest '127.0.0.1:97 a': $usual: stun:192.0.2.3
EOE
  ['<Global> and own sources of the main server, before it and after', sources(4) . "\n<Global>\nExtIPEngine on\n" . sources(1, 2) . "\n</Global>\n" . sources(3) . "\n" . host('a', ''), <<"EOE"],
server 'test': on, age 0: server config
server 'a': on, age 0: 127.0.0.1:97 a
quest 'server config': $usual: stun:192.0.2.4 stun:192.0.2.3
quest '127.0.0.1:97 a': $usual: stun:192.0.2.1 stun:192.0.2.2
EOE
  ['<Global> and the engine off in one', "<Global>\nExtIPEngine on\n" . sources(1) . "\n</Global>\n" . host('a', 'ExtIPEngine off'), <<"EOE"],
server 'test': on, age 0: server config
server 'a': off, age 0: -
quest 'server config': $usual: stun:192.0.2.1
EOE
  ['the same sources in two places', host('a', "ExtIPEngine on\n" . sources(1, 2)) . host('b', "ExtIPEngine on\n" . sources(1, 2)), <<"EOE"],
server 'test': off, age 0: -
server 'a': on, age 0: 127.0.0.1:97 a
server 'b': on, age 0: 127.0.0.1:97 a
quest '127.0.0.1:97 a': $usual: stun:192.0.2.1 stun:192.0.2.2
EOE
  ['another order is another question', host('a', "ExtIPEngine on\n" . sources(1, 2)) . host('b', "ExtIPEngine on\n" . sources(2, 1)), <<"EOE"],
server 'test': off, age 0: -
server 'a': on, age 0: 127.0.0.1:97 a
server 'b': on, age 0: 127.0.0.1:98 b
quest '127.0.0.1:97 a': $usual: stun:192.0.2.1 stun:192.0.2.2
quest '127.0.0.1:98 b': $usual: stun:192.0.2.2 stun:192.0.2.1
EOE
  ['a name that is there already', host('a', "ExtIPEngine on\n" . sources(1), 99) . host('a', "ExtIPEngine on\n" . sources(2), 99) . host('a', "ExtIPEngine on\n" . sources(3), 99), <<"EOE"],
server 'test': off, age 0: -
server 'a': on, age 0: 127.0.0.1:99 a
server 'a': on, age 0: 127.0.0.1:99 a#2
server 'a': on, age 0: 127.0.0.1:99 a#3
quest '127.0.0.1:99 a': $usual: stun:192.0.2.1
quest '127.0.0.1:99 a#2': $usual: stun:192.0.2.2
quest '127.0.0.1:99 a#3': $usual: stun:192.0.2.3
EOE
  ['a name with what is no ASCII, and no end', host('"' . "\xc3\xa9" . 'x' x 100 . '"', "ExtIPEngine on\n" . sources(1), 99) . host('"' . "\xc3\xa9" . 'x' x 101 . '"', "ExtIPEngine on\n" . sources(2), 99), <<"EOE"],
server 'test': off, age 0: -
server '\xc3\xa9@{['x' x 100]}': on, age 0: 127.0.0.1:99 ??@{['x' x 80]}
server '\xc3\xa9@{['x' x 101]}': on, age 0: 127.0.0.1:99 ??@{['x' x 73]}#2
quest '127.0.0.1:99 ??@{['x' x 80]}': $usual: stun:192.0.2.1
quest '127.0.0.1:99 ??@{['x' x 73]}#2': $usual: stun:192.0.2.2
EOE
  # Each of these alone makes another question of it.
  map({ my ($line, $quest) = @$_; ["$line asks in another way", host('a', "ExtIPEngine on\n" . sources(1)) . host('b', "ExtIPEngine on\n" . sources(1) . "\n$line"), <<"EOE"] }
server 'test': off, age 0: -
server 'a': on, age 0: 127.0.0.1:97 a
server 'b': on, age 0: 127.0.0.1:98 b
quest '127.0.0.1:97 a': $usual: stun:192.0.2.1
quest '127.0.0.1:98 b': $quest: stun:192.0.2.1
EOE
    ['ExtIPQuorum 1', $usual =~ s/quorum 0/quorum 1/r],
    ['ExtIPRefresh 4m', $usual =~ s/300/240/r],
    ['ExtIPRefresh 5m 6s', $usual =~ s/300 5/300 6/r],
    ['ExtIPTimeout 6s', $usual =~ s/timeout 5/timeout 6/r],
    ['ExtIPBind 127.0.0.5', $usual =~ s/0\.0\.0\.0/127.0.0.5/r],
    ["ExtIPCACertificate $pem", $usual =~ s/ca -/ca $pem/r],
    ['ExtIPOptions AllowReserved', "$usual, reserved"]),
  # While these do not.
  map({ my ($line, $server) = @$_; ["$line does not", host('a', "ExtIPEngine on\n" . sources(1)) . host('b', "ExtIPEngine on\n" . sources(1) . "\n$line"), <<"EOE"] }
server 'test': off, age 0: -
server 'a': on, age 0: 127.0.0.1:97 a
server 'b': $server: 127.0.0.1:97 a
quest '127.0.0.1:97 a': $usual: stun:192.0.2.1
EOE
    ['ExtIPMaxAge 1h', 'on, age 3600'],
    ['ExtIPRefresh 5m 5s', 'on, age 0'],
    ['ExtIPOptions AnnounceToAll', 'on, to all, age 0']),
);

sub plan_of {
  my ($config) = @_;
  my ($status, $output) = Server->configtest(modules => [qw(mod_extip mod_extip_plan)], config => "$config\n");
  is($status, 0, 'the configuration is good') or diag $output;
  return (join('', $output =~ /^((?:server|quest) '.*\n)/mg), $output);
}

for my $case (@cases) {
  my ($name, $config, $expected) = @$case;
  subtest $name => sub {
    my ($plan, $output) = plan_of($config);
    is($plan, $expected =~ s/\n?\z/\n/r, 'is planned like this');
    like($output, qr/^end$/m, '... and is found again');
  };
}

# One server more than there can be answers of their own.
subtest 'too many servers' => sub {
  my ($plan, $output) = plan_of(join '', map { host('a', "ExtIPEngine on\n" . sources($_), 10_000 + $_) } 1 .. 65);
  is(scalar(() = $plan =~ /^quest /mg), 64, 'there are 64 answers');
  like($plan, qr/^server 'a': on, age 0: -$/m, 'the last server has none');
  like($output, qr/more than 64 servers with sources of their own: '127\.0\.0\.1:10065 a' gets no address/, '... as the log says');
};

done_testing;
