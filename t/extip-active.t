#!/usr/bin/perl
# Active mode behind two NATs: ProFTPD puts the client's own address in the place
# of a private one in PORT and EPRT only when it knows a masquerade address. The
# discovered one, or that of a rule, is one.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use IO::Socket::IP;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my ($inside, $lan, $outside) = ('192.168.1.10', '192.168.1.20', $ExtIP::outside);
ExtIP::addresses();
system("ip addr add $_/32 dev lo") == 0 or die for $inside, $lan;
my @web = ExtIP::webs('9.9.9.9');

my $extip = sub { ExtIP::config($_[0], @web) };
my $natpasv = sub { <<"EOC" };
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool public 30000-30009
EOC

sub server {
  my ($config, @modules) = @_;
  my $server = Server->start(bind => $inside, port => 2121, modules => \@modules, config => $config);
  $server->file('down', text => 'some bytes');
  return $server;
}

# What comes of a download to a listener of this client that it announces with
# command and address: the reply and the bytes.
sub download {
  my ($client, $form, $address) = @_;
  my $listener = IO::Socket::IP->new(LocalHost => $client->{from}, LocalPort => 0, Listen => 1) or die "listen: $@";
  my $port = $listener->sockport;
  my $command = $form =~ /^PORT/
    ? join(',', 'PORT ' . $address =~ tr/./,/r, $port >> 8, $port & 255) : "EPRT |1|$address|$port|";
  my ($code, $text) = $client->cmd($command);
  return $code . ($code == 200 ? '' : " $text") if $code != 200;
  $client->send('RETR down');
  my $data = IO::Select->new($listener)->can_read(5) ? $listener->accept : undef;
  my $bytes = $data ? do { local $/; readline $data } : 'no connection';
  close $data if $data;    # ProFTPD lingers until then
  $client->reply for 1 .. 2;
  return "$code $bytes";
}

sub client { my ($server, $from) = @_; return Client->connect($inside, $server->port, from => $from // $outside)->login }

my %setup = (
  'ProFTPD with a MasqueradeAddress' => [sub { "MasqueradeAddress 1.2.3.4\n" }],
  'mod_extip alone'   => [$extip, 'mod_extip'],
  'mod_natpasv alone' => [sub { $natpasv->(@_) . "NATPasvRule * pool public address 1.2.3.4\n" }, 'mod_natpasv'],
  'both'              => [sub { $natpasv->(@_) . $extip->(@_) . "NATPasvRule * pool public\n" }, 'mod_extip', 'mod_natpasv'],
  'both, the other way round' => [sub { $natpasv->(@_) . $extip->(@_) . "NATPasvRule * pool public\n" }, 'mod_natpasv', 'mod_extip'],
);

for my $name (sort keys %setup) {
  my ($config, @modules) = @{ $setup{$name} };
  my $server = server($config, @modules);
  ExtIP::known($server, '9.9.9.9') if grep { $_ eq 'mod_extip' } @modules;
  my $client = client($server);
  for my $form ('PORT', 'EPRT') {
    is(download($client, $form, '10.0.0.5'), '200 some bytes', "$name: $form with a private address reaches the client") for 1 .. 2;
    is(download($client, $form, $outside), '200 some bytes', "$name: $form with its own address");
    like(download($client, $form, '203.0.113.5'), qr/^500 /, "$name: $form with somebody else's address is refused");
  }
  like(($client->cmd('PORT 10,0,0,5,0,25'))[0], qr/^500/, "$name: so is a port below 1024");
  is(($client->cmd('PORT 10,0,0,5,300,25'))[0], 501, "$name: and what is none");
  is(download(client($server, $lan), 'PORT', $lan), '200 some bytes', "$name: a client in the LAN is served as ever");
  # A client behind a NAT of its own in the LAN.
  like(download(client($server, $lan), 'PORT', '10.0.0.5'), (grep { $_ eq 'mod_natpasv' } @modules) ? qr/^200 some bytes$/ : qr/^500 /,
    "$name: another private address from the LAN");
  my $early = Client->connect($inside, $server->port, from => $outside);
  is(($early->cmd('PORT 10,0,0,5,100,25'))[0], 530, "$name: PORT before login is refused");
  my ($address) = $client->pasv;
  isnt($address, $inside, "$name: PASV is answered as ever");
}

# Nothing is lent that is not known, and nothing stays.
{
  $_->stop for @web;
  my $server = server($extip, 'mod_extip');
  like(download(client($server), $_, '10.0.0.5'), qr/^500 /, "nothing known: $_ with a private address is refused as by stock")
    for 'PORT', 'EPRT';
}

done_testing;
