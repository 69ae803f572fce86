# The three modules in one daemon: each alone, all load orders, reloads during
# transfers.

use strict;
use warnings;
use Net 'private';
use Client;
use Limits;
use Nginx;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my @ours   = qw(mod_extip mod_natpasv mod_keepalive);
my $web    = Nginx->start(answer => '203.0.113.9');
my $bytes  = join '', map { pack 'N', $_ } 1 .. 20_000;
my %config = (
  mod_extip => sub { "ExtIPEngine on\nExtIPTable $_[0]{dir}/state/extip.tab\nExtIPSource " . $web->uri . <<'EOC' },

ExtIPOptions AllowReserved AnnounceToAll
EOC
  mod_natpasv => sub { "NATPasvEngine on\nNATPasvTable $_[0]{dir}/run/natpasv.tab\n" . <<'EOC' },
NATPasvPool public 30000-30049
NATPasvRule * pool public address auto
EOC
  mod_keepalive => sub { "KeepaliveEngine on\nKeepaliveRule * interval 1s\n" },
);
# AnnounceToAll: for clients on loopback, too, "auto" is what mod_extip knows.
sub all { my ($s) = @_; return join('', map { $config{$_}->($s) } @ours) . Server::tls() }

sub known {
  my ($server) = @_;
  return Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /203\.0\.113\.9/ }, 15);
}

for my $module (@ours) {
  my $server = Server->start(modules => [$module], config => $config{$module});
  known($server) if $module eq 'mod_extip';
  $server->file('down', text => $bytes);
  my $client = Client->connect('127.0.0.1', $server->port)->login;
  my ($address, $port) = $client->pasv;
  is($address, $module eq 'mod_extip' ? '203.0.113.9' : '127.0.0.1', "$module alone: PASV announces what it should");
  ok($module ne 'mod_natpasv' || ($port >= 30000 && $port <= 30049), "$module alone: a port as configured");
  $client->cmd('TYPE I');
  my ($code, $text, $got) = $client->retr('down', epsv => 1);
  is($code, 226, "$module alone: a download") or diag $text;
  ok($got eq $bytes, "$module alone: the same bytes");
  is(($client->quit)[0], 221, "$module alone: QUIT");
}

for my $order ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]) {
  my @modules = @ours[@$order];
  my $name = join ' ', map { s/^mod_//r } @modules;
  my $server = Server->start(modules => ['mod_tls', @modules], config => \&all);
  known($server);
  $server->file('down', text => $bytes);
  my $client = Client->connect('127.0.0.1', $server->port)->auth_tls->login;
  my ($address, $port) = $client->pasv;
  is($address, '203.0.113.9', "$name: PASV announces the discovered address");
  ok($port >= 30000 && $port <= 30049, "$name: ... and a port of the pool");
  $client->cmd('TYPE I');
  my ($code, $text, $got) = $client->retr('down', epsv => 1);
  is($code, 226, "$name: a download on TLS") or diag $text;
  ok($got eq $bytes, "$name: the same bytes");
  like(($server->ctl($_, 'status'))[1], qr/\w/, "$name: ftpdctl $_ status answers") for qw(extip natpasv keepalive);
  $client->quit;
}

# As when an operator adds them to a daemon that serves.
{
  my $server = Server->start(modules => ['mod_tls']);
  $server->{modules} = ['mod_tls', @ours];
  $server->link_modules;
  $server->reconfigure(\&all);
  $server->hup;
  ok(known($server), 'loaded for the first time by a reload: the address is known') or diag $server->log;
  my ($address, $port) = Client->connect('127.0.0.1', $server->port)->login->pasv;
  is($address, '203.0.113.9', '... and announced');
  ok($port >= 30000 && $port <= 30049, '... with a port of the pool');
  ok(exists $server->ctl_json('keepalive', 'status')->{logged_in}, '... and mod_keepalive has its table');
  $server->hup;
  ok(known($server), '... also after the next reload');
}

# Without it they are given the local one.
{
  my $server = Server->start(modules => \@ours, config => sub { all($_[0]) =~ s/ AnnounceToAll//r =~ s/^TLS.*\n//gmr });
  known($server);
  is((Client->connect('127.0.0.1', $server->port)->login->pasv)[0], '127.0.0.1', 'PASV announces the local address to a local client');
}

{
  my $server = Server->start(modules => ['mod_tls', @ours], config => sub { all($_[0]) . "TransferRate RETR 2000\n" });
  known($server);
  $server->file('long', size => 20_000_000);
  sub rehup { my ($s) = @_; my $before = () = $s->log =~ /received SIGHUP -- master/g;
    $s->hup; Net::wait_for(sub { (() = $s->log =~ /received SIGHUP -- master/g) > $before }, 10);
    Net::wait_port('127.0.0.1', $s->port, undef, 10) }
  rehup($server) for 1 .. 3;    # what is loaded again takes its usual places
  known($server);
  my $before = $server->belongings;
  my @clients;
  for my $n (1 .. 4) {
    open my $out, '-|', 'sh', '-c', 'exec "$@"', 'sh', 'curl', '-sS', '-m', int Limits::of(60), ($n % 2 ? ('--ssl-reqd', '-k') : ()),
      '-u', 'ftp:ftp', '-o', '/dev/null', '-w', '%{size_download} %{exitcode}', "ftp://127.0.0.1:@{[$server->port]}/long" or die $!;
    push @clients, $out;
  }
  sleep 0.5;
  my ($hups, $most) = (0, $ENV{SANITIZE} ? 15 : 50);
  my $end  = time + Limits::of(15);
  rehup($server), ++$hups while $hups < $most and time < $end;
  is($hups, $most, "$most reloads");
  is(readline($_), '20000000 0', 'a transfer that ran during the reloads is whole') for @clients;
  close $_ for @clients;
  ok(known($server), 'the address is known after the reloads');
  Net::wait_for(sub { $server->children <= 1 }, 10);
  my @left = map { Server::slurp("/proc/$_/cmdline") =~ tr/\0/ /r } $server->children;
  is(scalar @left, 1, 'one helper and no other process is left') or diag join "\n", @left;
  my $after = $server->belongings;
  cmp_ok($after->{$_}, '<=', $before->{$_}, "no $_ accumulate in the daemon") for sort keys %$before;
  my ($address, $port) = Client->connect('127.0.0.1', $server->port)->login->pasv;
  is($address, '203.0.113.9', 'PASV announces the discovered address after the reloads');
}

done_testing;
