# Active mode: what PORT and EPRT are answered, beside ProFTPD alone, and where
# data connections go: never to any other address than the client's, or one that
# AllowForeignAddress allows.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use IO::Select;
use IO::Socket::IP;
use Seed;
use Server;
use Test::More;

my $why = Net::unavailable() // Server::unavailable();
plan skip_all => $why if $why;

# A server behind NAT, a client outside and somebody else there. What is sent to
# any other address leaves through v0, and is counted.
my ($inside, $client, $other, $lan) = ('192.168.1.10', '203.0.113.9', '203.0.113.77', '192.168.1.20');
my ($client6, $inside6) = ('2001:db8::9', '2001:db8::10');
system(<<"EOC") == 0 or die 'no network';
set -e
ip link add v0 type veth peer name v1
ip link set v0 up; ip link set v1 up
for address in $inside $client $other $lan; do ip addr add \$address/32 dev lo; done
for address in $client6 $inside6; do ip -6 addr add \$address/128 dev lo nodad; done
ip route add default dev v0 src $inside
nft -f - <<NFT
table inet watch {
  counter elsewhere {}
  counter there {}
  chain out {
    type filter hook output priority 0
    tcp flags & (syn | ack) != syn accept
    ip daddr $inside tcp dport 2121-2129 accept
    ip6 daddr $inside6 tcp dport 2121-2129 accept
    ip daddr $client counter name there accept
    ip6 daddr $client6 counter name there accept
    counter name elsewhere
  }
}
NFT
EOC
sub counted { return `nft list counter inet watch $_[0]` =~ /packets (\d+)/ ? $1 : die 'no counter' }

my $remedy = qr/use passive mode \(PASV or EPSV\)/;
my %server;
sub server {
  my ($name, $config, %opt) = @_;
  my $ours = $config =~ /NATPasv/;
  $server{$name} = Server->start(bind => $inside, port => 2121 + keys %server, modules => [$ours ? 'mod_natpasv' : ()],
    config => $config . ($ours ? "NATPasvEngine on\nNATPasvPool a 30000-30009\n" : ''), %opt);
  $server{$name}->file('down', text => 'some bytes');
  return $server{$name};
}
sub login { my ($server, $from) = @_; return Client->connect($server->bind, $server->port, from => $from // $client)->login }

# What PORT and EPRT are answered by ProFTPD, the same with a MasqueradeAddress,
# and mod_natpasv with each word; =: as ProFTPD. PORT with this address and port.
my @columns = ('stock', 'masquerade', 'peer', 'peer with masquerade', 'strict', 'strict with masquerade', 'off');
my $masquerade = "MasqueradeAddress 198.51.100.7\n";
server($columns[0], '');
server($columns[1], $masquerade);
server($columns[2], "NATPasvRule * pool a\n");
server($columns[3], "NATPasvRule * pool a active peer\n$masquerade");
server($columns[4], "NATPasvRule * pool a active strict\n");
server($columns[5], "NATPasvRule * pool a active strict\n$masquerade");
server($columns[6], "NATPasvRule * pool a active off\n");
my @table = (
  [$client, 5000,         '200 200 200 200 200 200 500', 'its own address'],
  ['192.168.1.5', 5000,   '500 200 200 200 500 500 500', 'RFC 1918'],
  ['10.0.0.5', 5000,      '500 200 200 200 500 500 500', 'RFC 1918'],
  ['172.31.0.5', 5000,    '500 200 200 200 500 500 500', 'RFC 1918'],
  ['100.64.0.5', 5000,    '500 500 200 200 500 500 500', 'carrier-grade NAT'],
  ['169.254.0.5', 5000,   '500 500 200 200 500 500 500', 'link-local'],
  [$inside, 5000,         '500 200 200 200 500 500 500', "the server's own address: that of the client is used"],
  ['127.0.0.1', 5000,     '500 500 500 500 500 500 500', 'loopback'],
  [$other, 5000,          '500 500 500 500 500 500 500', "somebody else's"],
  ['8.8.8.8', 53,         '500 500 500 500 500 500 500', 'that, and a port below 1024'],
  [$client, 1023,         '500 500 500 500 500 500 500', 'its own, and a port below 1024'],
  ['10.0.0.5', 25,        '500 500 500 500 500 500 500', 'a private one, and a port below 1024'],
);
sub command {
  my ($form, $address, $port) = @_;
  return $form eq 'PORT' ? join(',', 'PORT ' . $address =~ tr/./,/r, $port >> 8, $port & 255) : "EPRT |1|$address|$port|";
}
my %login = map { $_ => login($server{$_}) } @columns;
for my $row (@table) {
  my ($address, $port, $expected, $what) = @$row;
  for my $form ('PORT', 'EPRT') {
    my %reply = map { $_ => [$login{$_}->cmd(command($form, $address, $port))] } @columns;
    is(join(' ', map { $reply{$_}[0] } @columns), $expected, "$form $address $port, $what: " . join ', ', @columns);
    my @mute = grep { $reply{$_}[0] == 500 && $reply{$_}[1] !~ $remedy } @columns[2 .. $#columns];
    is("@mute", '', '... a refusal says what to do');
  }
}
# What is no address is ProFTPD's to refuse.
for my $command ('PORT 0,0,0,0,20,20', 'PORT 10,0,0,5,300,25', 'PORT 10,0,0,5,20', 'PORT x', 'EPRT |3|10.0.0.5|5000|', 'EPRT |2|fd00::5|5000|',
  'EPRT |1|10.0.0.5', 'EPRT |1|10.0.0.256|5000|', 'PORT', 'EPRT') {
  my ($stock, @ours) = map { join ' ', $login{$_}->cmd($command) } @columns[0, 2, 3, 4];
  is_deeply(\@ours, [($stock) x @ours], "$command: $stock");
}
is(($login{peer}->cmd(command('PORT', $other, 5000)))[1],
  "500 Your address is $client here, and no data connection is made to $other: use passive mode (PASV or EPSV)", 'a refusal names both addresses');

# A download to a listener of this client, announced with that address.
sub download {
  my ($login, $form, $address, $at) = @_;
  my $listener = IO::Socket::IP->new(LocalHost => $at // $login->{from}, LocalPort => 0, Listen => 1) or die "listen: $@";
  my ($code, $text) = $login->cmd($address =~ /:/ ? "EPRT |2|$address|@{[$listener->sockport]}|" : command($form, $address, $listener->sockport));
  return $text if $code != 200;
  $login->send('RETR down');
  my $data = IO::Select->new($listener)->can_read(Limits::of(5)) ? $listener->accept : undef;
  my $bytes = $data ? do { local $/; readline $data } : 'no connection';
  close $data if $data;
  $login->reply for 1 .. 2;
  return $bytes;
}
for my $address ($client, '192.168.1.5', '10.0.0.5', '100.64.0.5', '169.254.0.5', $inside) {
  is(download($login{peer}, $_, $address), 'some bytes', "$_ $address: data go to the client") for 'PORT', 'EPRT';
}
is(download(login($server{peer}, $lan), 'PORT', '10.0.0.5'), 'some bytes', 'a client that is behind a NAT in the LAN: too');

# Connections that cannot be made, and active mode without PORT.
{
  my $closed = Net::free_port($client);
  $login{peer}->cmd(command('PORT', '10.0.0.5', $closed));
  is_deeply([$login{peer}->cmd('RETR down')],
    [425, "425 Unable to build data connection: Connection refused ($client): use passive mode (PASV or EPSV)"], 'a connection that is refused');
  is_deeply([$login{peer}->cmd('RETR missing')], [550, '550 missing: No such file or directory'], '... and the error of a later command is its own');
  like(($login{off}->cmd('RETR down'))[1], qr/^425 Active mode is off here: $remedy/, 'off: nor is there a transfer without PORT');
  is(($login{off}->retr('down'))[2], 'some bytes', '... but a passive one') for 1 .. 2;
}

# Counted, for each class.
my $status = ($server{peer}->ctl('natpasv', 'status'))[1];
like($status, qr/^  \(none\) .*\n +active mode: 15 transfers, 1 failed; 24 private addresses replaced, 11 commands refused/m, 'status counts')
  or diag $status;
like(($server{peer}->ctl('natpasv', 'status', 'json'))[1] =~ s/\s+//gr,
  qr/"active":15,"active_replaced":24,"active_refused":11,"active_failed":1/, '... in JSON, too');

# FXP, where the operator allows it.
{
  my $elsewhere = counted('elsewhere');
  my $classes = "<Class friends>\nFrom $other\n</Class>\n";
  for my $allow ('on', 'friends') {
    my $login = login(server("foreign $allow", "${classes}AllowForeignAddress $allow\nNATPasvRule * pool a\n"));
    is(download($login, 'PORT', $other, $other), 'some bytes', "AllowForeignAddress $allow: data go to another server");
    is(download($login, 'PORT', '10.0.0.5'), 'some bytes', '... a private address is still the client');
    like(($login->cmd(command('PORT', '203.0.113.78', 5000)))[1], $allow eq 'on' ? qr/^200 / : qr/^500 Your address is/, '... and a third address');
  }
  cmp_ok(counted('elsewhere') - $elsewhere, '>=', 2, 'the other server was connected to twice');
}

# IPv6.
{
  my $six = Server->start(modules => ['mod_natpasv'], bind => $inside6, port => 2129, base => '', config => sub { <<"EOC" });
ServerName six
User nobody
Group nogroup
AuthOrder mod_auth_file.c
RequireValidShell off
DefaultAddress $inside6
SocketBindTight on
Port $_[0]{port}
NATPasvEngine on
NATPasvPool a 30000-30009
NATPasvRule * pool a
EOC
  $six->file('down', text => 'some bytes');
  my $login = login($six, $client6);
  is(download($login, 'EPRT', $client6), 'some bytes', 'EPRT over IPv6');
  is(download($login, 'EPRT', $_), 'some bytes', "... with $_") for 'fd00::5', 'fe80::5';
  like(download($login, 'EPRT', $_), qr/^500 Your address is $client6 here, and no data connection is made to \Q$_\E: $remedy/, "... but not with $_")
    for '2001:db8::5', '::1';
  like(download($login, 'EPRT', '10.0.0.5'), qr/^500 Your address is/, '... nor with an IPv4 address');
}

# Random lines.
{
  my $lines = $ENV{LONG} ? 10_000 : 300;
  my ($elsewhere, $there) = (counted('elsewhere'), counted('there'));
  my $login = login($server{peer});
  my ($accepted, $odd) = (0, 0);
  my $byte = sub { int rand 256 };
  my @addresses = (
    sub { join ',', map { $byte->() } 1 .. 4 }, sub { '10,' . join ',', map { $byte->() } 1 .. 3 },
    sub { '192,168,' . join ',', map { $byte->() } 1 .. 2 }, sub { '100,' . join ',', 64 + rand(64) & ~0, map { $byte->() } 1 .. 2 },
    sub { $client =~ tr/./,/r }, sub { $inside =~ tr/./,/r }, sub { '127,0,0,' . $byte->() }, sub { '169,254,1,' . $byte->() });
  for (1 .. $lines) {
    my $address = $addresses[rand @addresses]->();
    my $line = rand() < 0.5 ? "PORT $address," . $byte->() . ',' . $byte->() : 'EPRT |1|' . $address =~ tr/,/./r . '|' . int(rand 65536) . '|';
    substr($line, 5 + rand(length($line) - 5), 1) = (' ', ',', '|', '-', 0 .. 9)[rand 14] if rand() < 0.1;
    my ($code, $text) = $login->cmd($line);
    $odd++ if $code !~ /^(?:200|500|501|522)$/;
    next if $code != 200;
    $accepted++;
    ($code, $text) = $login->cmd('RETR down');
    $odd++ if $code != 425;
  }
  is($odd, 0, "$lines random lines are answered as they have to be");
  cmp_ok($accepted, '>', $lines / 4, '... some of them are accepted');
  cmp_ok(counted('there') - $there, '>=', $accepted, '... each of these is a connection to the client');
  is(counted('elsewhere') - $elsewhere, 0, '... and no connection goes elsewhere');
}

done_testing;
