#!/usr/bin/perl
# mod_extip alone: which address a session announces, to whom, and what else
# learns of it.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my ($outside, $inside, $bind) = ($ExtIP::outside, '127.0.0.1', $ExtIP::bind);
ExtIP::addresses();
my @web = ExtIP::webs(('9.9.9.9') x 2);

sub answer { my ($text) = @_; $_->answer($text) for @web }
sub start { my ($config) = @_; return ExtIP::server(\@web, $config, modules => ['mod_tls', 'mod_extip']) }
sub client { return ExtIP::client(@_) }
sub announced { return ExtIP::announced(@_) }
sub status { return ExtIP::status(@_) }
sub known { my ($server, $address) = @_; return ExtIP::known($server, $address // '9.9.9.9') }
# The same, and the daemon has it: the helper writes its line before it sends.
sub in_force {
  my ($server, $address) = @_;
  return known($server, $address) && Net::wait_for(sub { status($server) =~ /^  address     \Q$address\E$/m }, 15);
}

{
  my $server = start(sub { Server::tls() . <<"EOC" });
LogFormat extip "%m note=%{note:mod_extip.address} environment=%{EXTIP_ADDRESS}e"
ExtendedLog $_[0]{dir}/extended.log ALL extip
EOC
  ok(known($server), 'the address is found');
  my $client = client($server, $outside)->login;
  my ($address, $port) = $client->pasv;
  is($address, '9.9.9.9', 'a client from outside is given it');
  $server->file('down', text => 'some bytes');
  my $data = $client->dial($bind, $port);
  my ($code) = $client->cmd('RETR down');
  is($code, 150, 'the port that was announced is listened on');
  is(scalar(readline $data), 'some bytes', '... and serves the transfer');
  close $data;
  is(($client->reply)[0], 226, '... to its end');

  my ($session) = grep { $_ != ExtIP::helper($server) } $server->children;
  $client->pasv for 1 .. 100;
  my $kb = ExtIP::memory($session);
  $client->pasv for 1 .. 3000;
  cmp_ok(ExtIP::memory($session) - $kb, '<', 64, '3,000 more need no memory') unless $ENV{SANITIZE};

  is(announced(client($server, $inside)->login), $bind, 'a local client is given the local address');
  my $tls = client($server, $outside)->auth_tls->login;
  is(announced($tls), '9.9.9.9', 'a client with TLS is given the external one');
  is(announced($tls), '9.9.9.9', '... again at its second PASV');
  like($client->cmd('EPSV'), qr/^229/, 'EPSV works as ever');

  my $extended = sub { Server::slurp("$server->{dir}/extended.log") };
  like($extended->(), qr/^USER note=9\.9\.9\.9 environment=9\.9\.9\.9$/m,
    'session note and environment tell the address from the start');

  answer('8.8.4.4');
  my ($exit, $said) = $server->ctl('extip', 'refresh');
  is($exit, 0, 'ftpdctl extip refresh is accepted');
  like($said, qr/a round begins now/, '... and says what happens');
  ok(in_force($server, '8.8.4.4'), 'a change is found');
  is(announced($client), '8.8.4.4', 'a session that was logged in announces it');
  is(announced($tls), '8.8.4.4', '... also the one with TLS');
  like($extended->(), qr/^PASV note=8\.8\.4\.4 environment=8\.8\.4\.4$/m, '... and its note and environment');
  like(status($server), qr/before      9\.9\.9\.9$/m, 'status shows the address before');
  my @lines = $server->stderr =~ /.*address is now 8\.8\.4\.4.*/g;
  is(scalar @lines, 1, 'one line in the log tells of the change');
  like($lines[0], qr/was 9\.9\.9\.9, according to \Q@{[$web[0]->uri]}\E, \Q@{[$web[1]->uri]}\E \(2 of 2 sources, .*\d+ ms/,
    '... with the old one, who said so and how long it took');
  answer('9.9.9.9');
}

# What is configured counts until the first answer, and comes back never.
{
  $_->stop for @web;
  my $server = start("MasqueradeAddress 1.2.3.4\nTLSMasqueradeAddress 1.2.3.5\nExtIPRefresh 2s 1s\n" . Server::tls());
  my $client = client($server, $outside)->login;
  my $tls = client($server, $outside)->auth_tls->login;
  is(announced($client), '1.2.3.4', 'MasqueradeAddress is announced until the first answer');
  is(announced($tls), '1.2.3.5', 'TLSMasqueradeAddress likewise');
  is(announced(client($server, $inside)->login), $bind, 'local clients are given the local address even then');
  is(announced(client($server, $inside)->auth_tls->login), $bind, '... with TLS, too');
  @web = ExtIP::webs(('9.9.9.9') x 2);
  ok(in_force($server, '9.9.9.9'), 'the sources are asked until they answer');
  is(announced($client), '9.9.9.9', 'then the address takes the place of MasqueradeAddress');
  is(announced($tls), '9.9.9.9', '... and of TLSMasqueradeAddress');
  is(announced($client), '9.9.9.9', '... and stays');
}

{
  my $server = start("ExtIPOptions AnnounceToAll\n");
  known($server);
  is(announced(client($server, $inside)->login), '9.9.9.9', 'AnnounceToAll: local clients are given it as well');
  is((client($server, $outside)->cmd('PASV'))[0], 530, 'PASV before login is refused as ever');
  my $client = client($server, $outside)->login;
  $client->cmd('EPSV ALL');
  is(($client->cmd('PASV'))[0], 500, 'PASV after EPSV ALL is refused as ever');
}

# Virtual hosts: two ask different sources, one does not ask; HOST goes from one
# to the next, and nothing of one is left in the other.
{
  my $other = Nginx->start(host => '127.0.0.4', port => 8080, answer => '1.0.0.1');
  my %special = (
    asking => ExtIP::config({ dir => '' }, @web) =~ s/^ExtIPTable.*\n//mr . "MasqueradeAddress 1.2.3.4\n",
    other  => "ExtIPEngine on\nExtIPSource @{[$other->uri]}\n",
    silent => "MasqueradeAddress 1.2.3.6\n",
  );
  my $server = ExtIP::server(\@web, undef, config => sub { my ($s) = @_;
    ExtIP::config($s, @web) . join '', map { <<"EOC" } qw(asking other silent) });
<VirtualHost $bind>
Port 2121
ServerName $_
ServerAlias $_.example
AuthUserFile $s->{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
$special{$_}</VirtualHost>
EOC
  known($server);
  known($server, '1.0.0.1');
  my %want = (asking => '9.9.9.9', other => '1.0.0.1', silent => '1.2.3.6');
  for my $first (sort keys %want) {
    for my $second (sort keys %want) {
      my $client = client($server, $outside);
      is(($client->cmd("HOST $_.example"))[0], 220, "HOST $_.example") for $first, $second;
      $client->login;
      is(announced($client), $want{$second}, "... PASV announces $want{$second}") for 1 .. 2;
    }
  }
  my @keys = status($server) =~ /^(\S.*)$/mg;
  is_deeply(\@keys, ['test (198.51.100.1:2121)', "other ($bind:2121)"], 'servers that ask the same way share an answer')
    or diag status($server);
}

# As with mod_autohost.
{
  my $server = ExtIP::server(\@web, '', modules => ['mod_extip', 'mod_late_host']);
  known($server);
  is(announced(client($server, $outside)->login), '9.9.9.9', 'a server that has come later is answered as the server config');
}

# Nobody resolves, connects or waits in the daemon or a session.
{
  my $usual = ExtIP::server(\@web, '');
  known($usual);
  my $server = start("ExtIPSource dns:nothing.example\nExtIPTimeout 1s\nExtIPRefresh 2s 1s\n");
  my (%took, @clients);
  for (1 .. 10) {
    for my $s ($usual, $server) {
      my $begin = time;
      push @clients, client($s, $outside)->login;
      push @{ $took{ $s->port } }, time - $begin;
    }
  }
  my ($otherwise, $took) = map { (sort { $a <=> $b } @{ $took{ $_->port } })[4] } $usual, $server;
  cmp_ok($took, '<', $otherwise + 0.9, sprintf 'a login while names do not resolve takes %.2f s, otherwise %.2f: it does not wait for one', $took, $otherwise);
  like(status($server), qr/dns:nothing\.example/, 'status names the source');
}

done_testing;
