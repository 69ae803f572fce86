#!/usr/bin/perl
# ftpdctl extip check: ten servers, of which each is reachable or not in its
# own way, and the verdict is right. A real TURN server (coturn) connects.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BadRouter;
use IO::Socket::INET;
use List::Util qw(max);
use NatLab;
use Router;
use Server;
use Test::More;

if (my $reason = Router::unavailable() // Server::unavailable()) {
  plan skip_all => $reason;
}

my $lab = NatLab->new(ports => '60000-60007')->internet;
my $dir = $lab->dir;
my $turn = '198.51.100.3:3480';
NatLab::write_file("$dir/$_->[0]", "$_->[1]\n") for ['right', 'joe:secret'], ['wrong', 'joe:guess'];
chmod 0600, "$dir/right", "$dir/wrong";
$lab->spawn(inet => 'turnserver', '-n', '--no-cli', '--no-tls', '--no-dtls', '--no-udp', '--pidfile', "$dir/turn2.pid",
  '--log-file', 'stdout', '-L', '198.51.100.3', '-p', '3480', '--lt-cred-mech',
  '--user', 'joe:secret', '--realm', 'turn.example');
# A checker that finds every port reachable, and a source that is mistaken.
NatLab::write_file("$dir/liar.conf", <<"EOC");
daemon off; worker_processes 1; pid $dir/liar.pid; user root;
events { worker_connections 64; }
http { access_log off; server { listen 81; location / { return 200 '{"port":1,"reachable": true}'; } location = /wrong { return 200 198.51.100.99; } } }
EOC
$lab->spawn(inet => 'nginx', '-c', "$dir/liar.conf", '-e', "$dir/liar.log");
Net::wait_port('198.51.100.3', $_, $lab->ns('inet'), 20) or die "nothing listens on port $_ of inet" for 3480, 81;

my $probe = "ExtIPProbe turn:$turn credentials $dir/right\n";

# The address is that of the router's outside, by STUN.
sub config {
  my (%change) = (probe => $probe, pool => '60000-60007', more => '', source => "ExtIPSource stun:198.51.100.2\n", @_);
  return sub {
    my ($self) = @_;
    return <<"EOC";
ExtIPEngine on
$change{source}ExtIPOptions AllowReserved
ExtIPTimeout 2s
ExtIPTable none
$change{probe}NATPasvEngine on
NATPasvPool public $change{pool}
NATPasvRule * pool public
$change{more}
EOC
  };
}

my $server = $lab->server(modules => [qw(mod_extip mod_natpasv)], config => config());
sub known {
  my ($address) = @_;
  return Net::wait_for(sub { ($server->ctl(qw(extip status)))[1] =~ /\Q$address\E\b/ }, 15);
}
ok(known('198.51.100.7'), 'the address is known');

# Loads another configuration, which also forgets when the last check was.
sub reload {
  my (%change) = @_;
  my $at = delete $change{at} // '198.51.100.7';
  my $before = () = $server->log =~ /received SIGHUP/g;
  $server->reconfigure(config(%change));
  $server->hup;
  return Net::wait_for(sub { (() = $server->log =~ /received SIGHUP/g) > $before }, 10) && known($at);
}

sub check { return split /\n/, ($server->ctl(qw(extip check)))[1] }

my @said;
{
  @said = check();
  is($said[0], 'reachable: 8 of 8 passive ports tried at 198.51.100.7, from 198.51.100.3', 'all is well: reachable');
  cmp_ok(max(map { length } @said), '<=', 91, '... in lines that fit into a hundred columns with the name of ftpdctl');
  my $hairpin = Net::in($lab->ns('server'), sub { IO::Socket::INET->new(PeerHost => $lab->external, PeerPort => 21, Timeout => 1) });
  ok(!$hairpin, '... though the router has no hairpin');
  @said = check();
  like($said[0], qr/^the last check began \d+ s ago: try again in \d+ s$/, 'a second one within a minute is refused');
}

# name => what is changed, and what is said
my @cases = (
  ['the control port is forwarded, the pool is not', sub { ports('65000') },
    qr/^not reachable: no passive port at 198\.51\.100\.7, though the control port is$/,
    qr/^  600\d\d, .*not reachable from outside\n    forward these TCP ports/m],
  ['half of the pool is forwarded', sub { ports('60000-60003') }, qr/^not reachable: 4 of 8 passive ports/,
    qr/^  60004, 60005, 60006, 60007: |^  (?:6000[4-7](?:, )?){4}: not reachable from outside$/m],
  ['nothing is forwarded, and no router is asked', sub { ports('65000', 65001) },
    qr/^cannot tell: nothing at 198\.51\.100\.7 answers the probe, nor does the control port$/, qr/forward these TCP ports/],
  ['the address is wrong', sub { reload(source => "ExtIPSource http://198.51.100.2:81/wrong\n", at => '198.51.100.99') },
    qr/^cannot tell: nothing at 198\.51\.100\.99 answers/,
    qr/the probe sees this host at 198\.51\.100\.7, and clients are told 198\.51\.100\.99\n.*the sources/],
  ['a firewall on the server itself drops the pool', sub {
      $lab->must(server => 'nft', 'add table ip f; add chain ip f in { type filter hook input priority 0; }; add rule ip f in tcp dport 60000-60007 reject with tcp reset') },
    qr/^not reachable: this host drops what comes to 198\.51\.100\.7$/, qr/allow these TCP ports in this host's firewall/],
  ['the probe lies', sub { ports('65000'); reload(probe => "ExtIPProbe http://198.51.100.2:81/{port}\n") },
    qr/^cannot tell: the probe says it reached 198\.51\.100\.7, but nothing came here$/, qr/reached something, not this host\n/],
  ['no probe is configured', sub { reload(probe => '') }, qr/^cannot tell: there is no ExtIPProbe/, qr/configure ExtIPProbe turn:/],
  ['the credentials are wrong', sub { reload(probe => "ExtIPProbe turn:$turn credentials $dir/wrong\n") },
    qr/^cannot tell: the probe cannot be asked: the server refuses the credentials$/, qr/another ExtIPProbe/],
);

sub ports {
  my ($ports, $control) = @_;
  @$lab{qw(ports control)} = ($ports, $control // 21);
  $lab->firewall;
}

for my $case (@cases) {
  my ($name, $change, $first, $more) = @$case;
  ports('60000-60007');
  $lab->run(server => 'nft', 'flush', 'ruleset');
  ok(reload(), "$name: the address is known again") or diag $server->log;
  $change->();
  @said = check();
  like($said[0], $first, $name);
  like(join("\n", @said), $more, '... and what to do about it');
}

{
  ports('60000-60007');
  $lab->run(server => 'nft', 'flush', 'ruleset');
  reload();
  my $other = Net::in($lab->ns('server'), sub { IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 60003, Listen => 1) });
  @said = check();
  like($said[0], qr/^reachable: 7 of 7 passive ports/, 'another program has one port: the rest is reachable');
  like(join("\n", @said), qr/^  60003: another program listens there\n    stop it, or take the ports out of the pool$/m, '... and what to do about it');
}

# Carrier-grade NAT, as the router tells, who is asked by a source or for forwards.
# What the Internet sees is the carrier's address.
$lab->carrier('100.64.3.3');
my %asked = (
  'a source' => { source => "ExtIPSource stun:198.51.100.2\nExtIPSource natpmp:\n", more => "ExtIPQuorum 1\n" },
  'forwards' => { more => "ExtIPForward control passive\n" },
);
my $told = sub { return scalar(() = $server->log =~ /the router itself has 100\.64\.3\.3/g) };
for my $by (sort keys %asked) {
  my $before = $told->();
  my $router = $by eq 'a source' && BadRouter->start(host => '192.168.1.1', outside => '100.64.3.3', netns => $lab->ns('router'));
  bless($lab, 'Router'), @$lab{qw(natpmp upnp)} = (1, 1), $lab->firewall, $lab->start_router unless $router;
  ok(reload(%{ $asked{$by} }), "carrier-grade NAT, the router is asked by $by: the carrier's address is known") or diag $server->log;
  ok(Net::wait_for(sub { $told->() > $before }, 15), '... and the router tells its own') or diag $server->log;
  @said = check();
  is($said[0], 'not reachable: the router is behind carrier-grade NAT itself, at 100.64.3.3', '... which is said');
  like(join("\n", @said), qr/^  the router itself has 100\.64\.3\.3 on its outside: carrier-grade NAT\n    .*ask for a public address$/m, '... and what to do about it');
  $router->stop if $router;
}

is(scalar(() = glob "$server->{dir}/sanitizer/report*"), 0, 'nothing is left for the sanitizers to say');
done_testing;
