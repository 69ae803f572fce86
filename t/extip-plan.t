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
server 'test': on, age 0: test (127.0.0.1:2121)
discovery 'test (127.0.0.1:2121)': $usual: stun:192.0.2.1
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
server 'test': on, to all, age 3600: test (127.0.0.1:2121)
discovery 'test (127.0.0.1:2121)': quorum 2, refresh 600 60, timeout 7, bind 127.0.0.5, ca $pem, reserved: stun:192.0.2.1 stun:192.0.2.2
EOE
  ['an interval below the usual retry', "ExtIPEngine on\n" . sources(1) . "\nExtIPRefresh 3s", <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
discovery 'test (127.0.0.1:2121)': quorum 0, refresh 3 3, timeout 5, bind 0.0.0.0, ca -: stun:192.0.2.1
EOE
  ['sources without the engine', sources(1), "server 'test': off, age 0: -"],
  ['the engine without sources', 'ExtIPEngine on', "server 'test': on, age 0: -"],
  ['more sources than are asked', "ExtIPEngine on\n" . sources(1 .. 20), <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
discovery 'test (127.0.0.1:2121)': $usual: @{[join ' ', map { "stun:192.0.2.$_" } 1 .. 16]}
EOE

  ['what is outside of <Global> is for one server', "ExtIPEngine on\n" . sources(1) . "\n" . host('a', ''), <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
server 'a': off, age 0: -
discovery 'test (127.0.0.1:2121)': $usual: stun:192.0.2.1
EOE
  ['<Global>: servers that ask the same way share', "<Global>\nExtIPEngine on\n" . sources(1) . "\n</Global>\n" . host('a', '') . host('b', 'ExtIPMaxAge 5m'), <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
server 'a': on, age 0: test (127.0.0.1:2121)
server 'b': on, age 300: test (127.0.0.1:2121)
discovery 'test (127.0.0.1:2121)': $usual: stun:192.0.2.1
EOE
  ['<Global> and own sources: the own ones alone', "<Global>\nExtIPEngine on\n" . sources(1, 2) . "\n</Global>\n" . host('a', sources(3)), <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
server 'a': on, age 0: a (127.0.0.1:97)
discovery 'test (127.0.0.1:2121)': $usual: stun:192.0.2.1 stun:192.0.2.2
discovery 'a (127.0.0.1:97)': $usual: stun:192.0.2.3
EOE
  ['<Global> and own sources of the main server, before it and after', sources(4) . "\n<Global>\nExtIPEngine on\n" . sources(1, 2) . "\n</Global>\n" . sources(3) . "\n" . host('a', ''), <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
server 'a': on, age 0: a (127.0.0.1:97)
discovery 'test (127.0.0.1:2121)': $usual: stun:192.0.2.4 stun:192.0.2.3
discovery 'a (127.0.0.1:97)': $usual: stun:192.0.2.1 stun:192.0.2.2
EOE
  ['<Global> and the engine off in one', "<Global>\nExtIPEngine on\n" . sources(1) . "\n</Global>\n" . host('a', 'ExtIPEngine off'), <<"EOE"],
server 'test': on, age 0: test (127.0.0.1:2121)
server 'a': off, age 0: -
discovery 'test (127.0.0.1:2121)': $usual: stun:192.0.2.1
EOE
  ['the same sources in two places', host('a', "ExtIPEngine on\n" . sources(1, 2)) . host('b', "ExtIPEngine on\n" . sources(1, 2)), <<"EOE"],
server 'test': off, age 0: -
server 'a': on, age 0: a (127.0.0.1:97)
server 'b': on, age 0: a (127.0.0.1:97)
discovery 'a (127.0.0.1:97)': $usual: stun:192.0.2.1 stun:192.0.2.2
EOE
  ['another order is another question', host('a', "ExtIPEngine on\n" . sources(1, 2)) . host('b', "ExtIPEngine on\n" . sources(2, 1)), <<"EOE"],
server 'test': off, age 0: -
server 'a': on, age 0: a (127.0.0.1:97)
server 'b': on, age 0: b (127.0.0.1:98)
discovery 'a (127.0.0.1:97)': $usual: stun:192.0.2.1 stun:192.0.2.2
discovery 'b (127.0.0.1:98)': $usual: stun:192.0.2.2 stun:192.0.2.1
EOE
  ['a name that is there already: no matter', host('a', "ExtIPEngine on\n" . sources(1), 99) . host('a', "ExtIPEngine on\n" . sources(2), 99) . host('a', "ExtIPEngine on\n" . sources(3), 99), <<"EOE"],
server 'test': off, age 0: -
server 'a': on, age 0: a (127.0.0.1:99)
server 'a': on, age 0: a (127.0.0.1:99)
server 'a': on, age 0: a (127.0.0.1:99)
discovery 'a (127.0.0.1:99)': $usual: stun:192.0.2.1
discovery 'a (127.0.0.1:99)': $usual: stun:192.0.2.2
discovery 'a (127.0.0.1:99)': $usual: stun:192.0.2.3
EOE
  ['a name with what is no ASCII, and no end', host('"' . "\xc3\xa9" . 'x' x 100 . '"', "ExtIPEngine on\n" . sources(1), 99) . host('"' . "\xc3\xa9" . 'x' x 101 . '"', "ExtIPEngine on\n" . sources(2), 99), <<"EOE"],
server 'test': off, age 0: -
server '\xc3\xa9@{['x' x 100]}': on, age 0: ??@{['x' x 58]} (127.0.0.1:99)
server '\xc3\xa9@{['x' x 101]}': on, age 0: ??@{['x' x 58]} (127.0.0.1:99)
discovery '??@{['x' x 58]} (127.0.0.1:99)': $usual: stun:192.0.2.1
discovery '??@{['x' x 58]} (127.0.0.1:99)': $usual: stun:192.0.2.2
EOE
  # Each of these alone makes another question of it.
  map({ my ($line, $asked) = @$_; ["$line asks in another way", host('a', "ExtIPEngine on\n" . sources(1)) . host('b', "ExtIPEngine on\n" . sources(1) . "\n$line"), <<"EOE"] }
server 'test': off, age 0: -
server 'a': on, age 0: a (127.0.0.1:97)
server 'b': on, age 0: b (127.0.0.1:98)
discovery 'a (127.0.0.1:97)': $usual: stun:192.0.2.1
discovery 'b (127.0.0.1:98)': $asked: stun:192.0.2.1
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
server 'a': on, age 0: a (127.0.0.1:97)
server 'b': $server: a (127.0.0.1:97)
discovery 'a (127.0.0.1:97)': $usual: stun:192.0.2.1
EOE
    ['ExtIPMaxAge 1h', 'on, age 3600'],
    ['ExtIPRefresh 5m 5s', 'on, age 0'],
    ['ExtIPOptions AnnounceToAll', 'on, to all, age 0']),
);

sub plan_of {
  my ($config) = @_;
  my ($status, $output) = Server->configtest(modules => [qw(mod_extip mod_extip_plan)], config => "$config\n");
  is($status, 0, 'the configuration is good') or diag $output;
  return (join('', $output =~ /^((?:server|discovery) '.*\n)/mg), $output);
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
sub many { return join '', map { host('a', "ExtIPEngine on\n" . sources($_), 10_000 + $_) } 1 .. $_[0] }
subtest 'too many servers' => sub {
  my ($plan) = plan_of(many(64));
  is(scalar(() = $plan =~ /^discovery /mg), 64, 'there can be 64 answers');
  my ($status, $output) = Server->configtest(modules => ['mod_extip'], config => many(65));
  isnt($status, 0, '65 are an error of proftpd -t');
  like($output, qr/error: more than 64 servers ask for an address of their own, 'a \(127\.0\.0\.1:10065\)' is one too many/, '... which says so');
};

# Two sources at one host and port have one vote.
subtest 'a quorum that cannot be' => sub {
  my $said = sub { (plan_of("ExtIPEngine on\n" . join '', map { "$_\n" } @_))[1] };
  my @pages = map { "ExtIPSource http://192.0.2.1/$_" } 1 .. 2;
  like($said->(@pages, 'ExtIPQuorum 2'), qr/ExtIPQuorum 2 for 'test \(.*\)' can never be reached with 2 sources at 1 endpoint\n/,
    'two sources at one endpoint are a warning with a quorum of two');
  unlike($said->(@pages, 'ExtIPSource http://192.0.2.2/', 'ExtIPQuorum 2'), qr/never be reached/, 'not when there is another endpoint');
  unlike($said->(@pages), qr/never be reached/, 'nor without a quorum of two');
};

done_testing;
