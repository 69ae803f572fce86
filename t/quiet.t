# Quiet by default: each module says in one line at start what is in force, again
# after a reload, and nothing else as long as all is well.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use ExtIP;
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

ExtIP::addresses();
my @ours = qw(mod_extip mod_natpasv mod_keepalive);
my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');

# The lines of our modules so far.
sub said { my ($server) = @_; return map { /\b(mod_(?:extip|natpasv|keepalive)\/.*)/ ? $1 =~ s{/[\d.]+}{}r : () } split /\n/, ExtIP::log($server) }
sub in_force { my ($server, $module) = @_; return grep { /^\Q$module\E: in force / } said($server) }

sub start {
  my ($config, %opt) = @_;
  return Server->start(bind => $ExtIP::bind, port => 2121, modules => [@ours], config => $config, %opt);
}

my $all = sub {
  my ($server) = @_;
  return ExtIP::config($server, @web) . <<"EOC";
MaxInstances 30
NATPasvEngine on
NATPasvPool public 61000-61099
NATPasvPool mapped 62000-62099 external 41000
NATPasvRule * pool public
<Class partners>
From 203.0.113.0/24
</Class>
NATPasvRule partners pool mapped
KeepaliveEngine on
KeepaliveRule partners interval 5m method tcp
KeepaliveRule *
EOC
};
my $server = start($all);
ok(ExtIP::known($server, '9.9.9.9'), 'three modules start');
my %line = (
  mod_extip => 'mod_extip: in force for 1 of 1 servers: test (198.51.100.1:2121) asks 2 sources every 300 s, quorum 1, knows no address yet',
  mod_natpasv => "mod_natpasv: in force for 1 of 1 servers: pool 'public' 61000-61099 (100 ports), pool 'mapped' 62000-62099 (100 ports, announced as 41000-41099); leases in memory",
  mod_keepalive => "mod_keepalive: in force for 1 of 1 servers: 'partners interval 300s method tcp', '* interval 25s method auto'",
);
is_deeply([in_force($server, $_)], [$line{$_}], "$_ says what is in force, in one line") for @ours;
my $client = ExtIP::client($server)->login;
$server->file('down', text => 'all well');
is_deeply([$client->retr('down', epsv => 1)], [226, '226 Transfer complete', 'all well'], 'a client has its file');
$client->leave;
my $adopted = qr/^mod_extip: test \S+ address is now 9\.9\.9\.9, was none, /;
is_deeply([grep { !/ in force / && $_ !~ $adopted } said($server)], [], '... and the log says nothing but the address');

# The change has one line, with what it was before.
$_->answer('8.8.8.8') for @web;
my $before = said($server);
$server->hup;
ok(ExtIP::known($server, '8.8.8.8'), 'a reload, and another address');
for my $module (@ours) {
  my $expected = $line{$module} =~ s/no address yet/9.9.9.9/r;
  my @lines;
  ok(Net::wait_for(sub { (@lines = in_force($server, $module)) == 2 }), "$module says it again") or diag ExtIP::log($server);
  is($lines[-1], $expected, '... with what is known by now');
}
is(scalar(said($server)), $before + @ours + 1, '... and there is one line for the change');
$server->stop;

# In which servers, and where an engine is off.
for my $case (['engines that are off', 0], ['engines in one of two servers', 1]) {
  my ($name, $on) = @$case;
  my $engines = $on ? "ExtIPEngine on\nExtIPSource if:lo\nNATPasvEngine on\nPassivePorts 61000 61009\nKeepaliveEngine on\n" : '';
  my $server = start(sub { "ExtIPTable none\n$engines<VirtualHost 127.0.0.9>\nPort 2121\n</VirtualHost>\n" });
  my $of = $on ? '1 of 2 servers: ' : 'no server: ';
  like(join("\n", in_force($server, $_)), qr/\A\Q$_\E: in force for $of.*\z/, "$name: $_ says so in one line") for @ours;
  is(join("\n", in_force($server, 'mod_keepalive')), "mod_keepalive: in force for 1 of 2 servers: '* interval 25s method auto'", '... without a KeepaliveRule what applies then') if $on;
  like(ExtIP::log($server), qr/mod_natpasv\S+ in force .*: PassivePorts 61000-61009 \(10 ports\); leases in memory$/m, '... and PassivePorts are named') if $on;
  $server->stop;
}

my ($status, $said) = Server->configtest(modules => [@ours], config => $all, bind => $ExtIP::bind);
is($status, 0, 'proftpd -t takes the configuration');
unlike($said, qr/in force/, '... where nothing is in force');

done_testing;
