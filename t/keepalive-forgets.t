#!/usr/bin/perl
# A router that forgets within the interval: the session ends by its deadline,
# the log says which interval to take, and with that one the transfer ends well.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use NatLab;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable() || NatLab::unavailable();
plan skip_all => $why if $why;

my $FORGET = 4;
my $RATE = 100_000 / 1024;    # 14 s for the file
my $lab = NatLab->new(forget => $FORGET, ports => '60000-60099');

sub config {
  my ($interval) = @_;
  return sub {
    my ($self) = @_;
    return <<"EOC";
KeepaliveEngine on
KeepaliveRule * interval ${interval}s deadline 16s
KeepaliveLog $self->{dir}/keepalive.log
MasqueradeAddress @{[$lab->external]}
PassivePorts 60000 60099
TransferRate RETR $RATE
EOC
  };
}

my $server = $lab->server(modules => ['mod_keepalive'], config => config(10));
$server->file('slow', size => 1_400_000);

sub session {
  my $c = Client->connect($lab->external, $server->port, netns => $lab->ns('client'));
  $c->login;
  $c->cmd('TYPE I');
  return $c;
}

sub keepalive_log { return split /\n/, Server::slurp("$server->{dir}/keepalive.log") }

my $c = session();
my ($code, $text) = $c->retr('slow', timeout => 4);
is($code, undef, 'an interval of 10 s on a path that forgets after 4: the 226 never comes');
Net::wait_for(sub { keepalive_log() }, 10);
my ($line) = keepalive_log();
like($line, qr/died during (?:RETR|silence): no sign of the client for 1[567]s/, '... and the session ends by its deadline');
like($line, qr/an idle connection is forgotten within \d+s \(it survived \d+s\): try KeepaliveRule interval \d+s$/,
  'the log says what to do');
my ($within, $survived, $advice) = $line =~ /within (\d+)s \(it survived (\d+)s\): try KeepaliveRule interval (\d+)s/;
cmp_ok($advice, '<', $FORGET, "... an interval that the path survives ($advice s)");
cmp_ok($survived, '<=', $FORGET, "... it had survived $survived s");
cmp_ok($within, '>=', $FORGET, "... and forgot within $within s");
like(($server->ctl('keepalive', 'status'))[1],
  qr/idle connections are forgotten after more than ${survived}s, at most ${within}s/, 'ftpdctl keepalive status says the same');

$server->reconfigure(config($advice));
$server->hup;
ok(Net::wait_for(sub { ($server->log . $server->stderr) =~ /SIGHUP/ }, 5), 'the interval is changed to that');
sleep 1;
$c = session();
is(($c->retr('slow', timeout => 6))[0], 226, 'the same transfer ends well');
is(($c->cmd('NOOP'))[0], 200, '... and the control connection lives');
like(($server->ctl('keepalive', 'status'))[1], qr/paths that died      1\b/, 'ftpdctl keepalive status still knows the death of before');

done_testing;
