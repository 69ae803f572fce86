# Which client gets which port and which address, in the words that clients
# expect.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::IP;
use Server;
use Test::More;
use Time::HiRes qw(time);

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

# Clients by where they come from: the LAN, a partner, the Internet.
my %from = (lan => '127.0.0.2', partner => '198.51.100.7', public => '203.0.113.9');
system('ip', 'addr', 'add', "$from{$_}/32", 'dev', 'lo') for qw(partner public);
system('ip -6 addr add 2001:db8::5/128 dev lo nodad; ip -6 addr add 2001:db8::6/128 dev lo nodad') == 0
  or diag('no IPv6 here');

my $server = Server->start(
  modules => [qw(mod_tls mod_ifsession mod_natpasv)],
  config  => sub { Server::tls() . <<"EOC" },
MasqueradeAddress 192.0.2.1
TLSMasqueradeAddress 192.0.2.2
<Class lan>
From 127.0.0.2
</Class>
<Class partners>
From 198.51.100.0/24
</Class>
NATPasvEngine on
NATPasvLog $_[0]{dir}/natpasv.log
NATPasvPool lan      20000-20009 quarantine 1h
NATPasvPool partners 21000-21004,21010-21014 external 41000 quarantine 0s
NATPasvPool public   22000-22003 listen 127.0.0.9 quarantine 0s
NATPasvPool vip      23000-23009
NATPasvPool small    24000-24001
NATPasvRule lan      pool lan address local
NATPasvRule partners pool partners address 192.0.2.77 wait 0s share any
NATPasvRule *        pool public wait 2s share any
<IfUser vip>
NATPasvRule *        pool vip address local
</IfUser>
<IfClass small>
NATPasvRule small    pool small
</IfClass>
LogFormat passive "%m %{note:mod_natpasv.pool} %{note:mod_natpasv.port} %{note:mod_natpasv.address}"
ExtendedLog $_[0]{dir}/passive.log ALL passive
<Limit EPSV>
DenyUser nobody
DenyUser limited
</Limit>
EOC
);

# The same account under other names.
{
  open my $accounts, '+<', "$server->{dir}/passwd" or die $!;
  my ($line) = <$accounts>;
  print $accounts $line =~ s/^ftp:/$_:/r for qw(vip limited);
}

sub client {
  my ($class, %opt) = @_;
  my $client = Client->connect('127.0.0.1', $server->port, from => $from{$class});
  $client->auth_tls if $opt{tls};
  $client->login($opt{user})->cmd('TYPE I');
  return $client;
}

sub status { return { map { $_->{pool} => $_ } @{ $server->ctl_json('natpasv', 'status')->{pools} } } }

my $lan = client('lan');
my ($address, $port) = $lan->pasv;
is($address, '127.0.0.1', 'a LAN client is told the local address');
ok($port >= 20000 && $port <= 20009, '... and a port of its class\'s pool');
like($lan->{last}, qr/^227 Entering Passive Mode \(127,0,0,1,78,\d+\)\.$/, '... in the words of stock ProFTPD');
my @had = ($port, ($lan->epsv)[1]);
like($lan->{last}, qr/^229 Entering Extended Passive Mode \(\|\|\|2000\d\|\)$/, 'EPSV has the same pool');

my $partner = client('partner');
($address, $port) = $partner->pasv;
is($address, '192.0.2.77', 'a partner is told the address of its rule');
ok($port >= 41000 && $port <= 41009, '... and a port of the outer range');
my %inner = map { ($_ < 5 ? 21000 + $_ : 21005 + $_) => 41000 + $_ } 0 .. 9;
my %seen;
for (1 .. 60) {
  my $announced = ($_ % 2 ? ($partner->epsv)[1] : ($partner->pasv)[1]);
  $partner->cmd('NOOP'); # by then the former listener is closed
  my ($listening) = grep { IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $_, Listen => 1) ? 0 : 1 } keys %inner;
  $seen{$listening} = $announced;
}
is_deeply([map { $seen{$_} } sort keys %seen], [map { $inner{$_} } sort keys %seen],
  'the k-th port of the pool is announced as the k-th of the outer range, in 227 and 229');
cmp_ok(keys %seen, '>', 7, '... for all of the pool');

my $public = client('public');
($address, $port) = $public->pasv;
is($address, '192.0.2.1', 'a client of the Internet is told MasqueradeAddress');
ok($port >= 22000 && $port <= 22003, '... and a port of the pool for all');
is($public->dial('127.0.0.1', $port, 1), undef, 'its listener is not where the client came');
ok($public->dial('127.0.0.9', $port, 1), '... but where the pool says');

my $former = $port;
($port) = ($public->epsv)[1];
$public->cmd('NOOP');
is($public->dial('127.0.0.9', $former, 1), undef, 'the listener of the command before is closed');
ok($public->dial('127.0.0.9', $port, 1), '... and the new one is not');

my $tls = client('public', tls => 1);
is(($tls->pasv)[0], '192.0.2.2', 'over TLS it is told TLSMasqueradeAddress');
$tls->quit;

my $vip = client('partner', user => 'vip');
($address, $port) = $vip->pasv;
ok($address eq '127.0.0.1' && $port >= 23000 && $port <= 23009, 'a rule of <IfUser> goes before those of the server');

# All ports of the public pool.
$public->quit;
my @holders = map { client('public') } 1 .. 4;
is_deeply([sort { $a <=> $b } map { ($_->pasv)[1] } @holders], [22000 .. 22003], 'four clients hold the four ports of a pool');
my $fifth = client('public');
my $begin = time;
is_deeply([$fifth->cmd('PASV')], [425, "425 Unable to build data connection: no free port in pool 'public' (4 of 4 in use)"],
  'the fifth gets 425 and the cause');
my $took = time - $begin;
ok($took > 1.9 && $took < 4, '... after the wait of its rule') or diag($took);
is(($fifth->cmd('EPSV'))[0], 425, '... for EPSV too');
$begin = time;
is(($fifth->cmd('PASV'))[0], 425, '... and a PASV after it is the same attempt');
cmp_ok(time - $begin, '<', 1, '... which does not wait once more; the next one does');
$holders[0]->send('NOOP');
my $waited = status()->{public}{waited};
$fifth->send('PASV');
Net::wait_for(sub { status()->{public}{waited} > $waited }) or diag('nobody waits');
$begin = time;
$holders[0]->quit;
is(($fifth->reply)[0], 227, 'who waits gets the port that comes free');
cmp_ok(time - $begin, '<', 1, '... long before the end of the wait');

# Ten of ten in use, and no wait.
my @partners = map { client('partner') } 1 .. 10;
$partner->quit;
is(scalar(grep { ($_->pasv)[1] } @partners), 10, 'ten partners hold ten ports');
my $late = client('partner');
$begin = time;
is(($late->cmd('PASV'))[0], 425, 'with wait 0s the refusal comes');
cmp_ok(time - $begin, '<', 1, '... long before the 2 s of a rule that does not say');
is(($partners[3]->cmd('PASV'))[0], 227, 'a second PASV has the port of the first if there is no other');
is(($late->cmd('PASV'))[0], 425, 'a second PASV of a session does not cost a second port');
$partners[3]->leave;
is(($late->cmd('PASV'))[0], 227, 'a port is free as soon as its session ends');
$_->leave for @partners[0 .. 2, 4 .. 9], @holders[1 .. 3], $fifth, $late;

# A stranger on a port.
my @strangers = map { IO::Socket::IP->new(LocalHost => '127.0.0.9', LocalPort => $_, Listen => 1, ReuseAddr => 1) || die "$_: $@" } 22000 .. 22002;
$public = client('public');
is_deeply([map { ($public->pasv)[1] } 1 .. 5], [(22003) x 5], 'ports that strangers listen on are skipped');
cmp_ok(status()->{public}{foreign}, '>=', 3, '... and counted');
close $_ for @strangers;
my $second = client('public');
ok(Net::wait_for(sub { ($second->cmd('PASV'))[0] == 227 }), 'when the strangers are gone the ports come back');
$_->quit for $public, $second;

# Quarantine.
push @had, map { ($lan->pasv)[1] } 3 .. 10;
is_deeply([sort { $a <=> $b } @had], [20000 .. 20009], 'a client does not get a port again while there are others');
is(($lan->cmd('PASV'))[0], 227, '... and gets one all the same when there are none');

# Protocol.
my $client = client('lan');
is(($client->cmd('EPSV 1'))[0], 229, 'EPSV 1');
is(($client->cmd('EPSV 9'))[0], 522, 'EPSV 9 is not supported');
is(($client->cmd('EPSV x'))[0], 501, 'EPSV x is a syntax error');
is(($client->cmd('PASV x'))[0], 501, 'PASV takes no argument');
my ($code, $text, $bytes);
$server->file('hello', text => "hello\n");
($code, $text, $bytes) = $client->retr('hello');
is("$code $bytes", "226 hello\n", 'a download by PASV');
($code, $text, $bytes) = $client->retr('hello', epsv => 1);
is("$code $bytes", "226 hello\n", 'a download by EPSV');
is(($client->stor('upload', 'x' x 100_000))[0], 226, 'an upload');
is(($client->cmd('EPSV ALL'))[0], 200, 'EPSV ALL');
is(($client->cmd('PASV'))[0], 500, '... after which PASV is refused');
is(($client->cmd('EPSV'))[0], 229, '... and EPSV is not');
$client->quit;
my $limited = client('lan', user => 'limited');
is(($limited->cmd('EPSV'))[0], 501, '<Limit EPSV> is obeyed');
is(($limited->cmd('PASV'))[0], 227, '... and PASV is something else');

my $secure = client('lan', tls => 1);
($code, $text, $bytes) = $secure->retr('hello');
is("$code $bytes", "226 hello\n", 'a download over TLS');
$secure->quit;

# What became of it all.
my $status = status();
is($status->{lan}{size}, 10, 'status: the size of a pool');
is($status->{public}{peak}, 4, 'status: its peak');
cmp_ok($status->{public}{refused}, '>=', 2, 'status: who was refused');
cmp_ok($status->{public}{waited}, '>=', 3, 'status: who had to wait');
is_deeply([map { $_->{class} } @{ $status->{partners}{classes} }], ['partners'], 'status: by class');
like(($server->ctl('natpasv', 'status'))[1], qr/^lan +10 +\d/m, 'status for people');
like(($server->ctl('natpasv', 'leases'))[1], qr/^ *2000\d lan +127\.0\.0\.2 +\d+ +\d+s$/m, 'the lease, its class, client, process and age');
like(($server->ctl('natpasv', 'leaks'))[1], qr/^'leaks': allowed are status, leases, export$/, 'an unknown action is refused');
like(Server::slurp("$server->{dir}/passive.log"), qr/^PASV partners 4100\d 192\.0\.2\.77$/m, 'the notes can be logged');
like(Server::slurp("$server->{dir}/natpasv.log"), qr/PASV of client 203\.0\.113\.9 refused: no free port in pool 'public'/, 'a refusal is logged');
$server->stop;

# The engine alone keeps an existing configuration working; and IPv6.
$server = Server->start(
  modules => ['mod_natpasv'], bind => '2001:db8::5',
  base   => "ServerName six\nUser nobody\nGroup nogroup\nAuthOrder mod_auth_file.c\nRequireValidShell off\n",
  config => sub { <<"EOC" },
DefaultAddress 2001:db8::5
Port $_[0]{port}
<VirtualHost 127.0.0.1>
Port $_[0]{port}
AuthUserFile $_[0]{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
NATPasvEngine on
PassivePorts 25000 25009
MasqueradeAddress 192.0.2.3
</VirtualHost>
NATPasvEngine on
PassivePorts 26000 26009
NATPasvTable $_[0]{dir}/run/natpasv.tab
EOC
);
$client = client('public');
($address, $port) = $client->pasv;
is($address, '192.0.2.3', 'the engine alone: MasqueradeAddress is announced');
ok($port >= 25000 && $port <= 25009, '... with a port of PassivePorts');
ok(exists status()->{'25000-25009'}, '... which is a pool like any other');
($address) = client('lan')->pasv;
is($address, '192.0.2.3', '... and a local client is told the same, as with stock');

SKIP: {
  my $six = eval { Client->connect('2001:db8::5', $server->port, from => '2001:db8::6')->login }
    or skip 'no IPv6 here', 4;
  my ($host, $epsv) = $six->epsv;
  ok($epsv >= 26000 && $epsv <= 26009, 'EPSV over IPv6');
  is(($six->cmd('EPSV 2'))[0], 229, 'EPSV 2');
  ($code, $text, $bytes) = $six->transfer('LIST', epsv => 1);
  is($code, 226, 'a listing over IPv6');
  is(($six->pasv)[0], '0.0.0.0', 'PASV over IPv6 means the address that was called');
}

# Who knows the port of one session knows nothing of the next one's.
for my $table ('none', 'natpasv.tab') {
  my $large = Server->start(modules => ['mod_natpasv'], config => sub { <<"EOC" });
NATPasvEngine on
NATPasvTable @{[$table eq 'none' ? $table : "$_[0]{dir}/run/$table"]}
NATPasvPool large 2000-31999 quarantine 0s
NATPasvRule * pool large address local
EOC
  my %ports;
  for (1 .. 3) {
    my $client = Client->connect('127.0.0.1', $large->port)->login;
    my @ports = map { ($client->pasv)[1] } 1 .. 2;
    $ports{"@ports"}++;
    $client->leave;
  }
  is(scalar(keys %ports), 3, "NATPasvTable $table: each session draws ports of its own") or diag(explain(\%ports));
}

# What the status counts of a pool.
{
  my $server = Server->start(modules => ['mod_natpasv'], config => "NATPasvEngine on\nNATPasvPool a 27000-27003\nNATPasvRule * pool a\n");
  my $ports  = sub { my ($pool) = @{ $server->ctl_json('natpasv', 'status')->{pools} }; return "$pool->{leased} leased, $pool->{quarantined} quarantined" };
  is($ports->(), '0 leased, 0 quarantined', 'status: no port was ever leased');
  my $client = Client->connect('127.0.0.1', $server->port)->login;
  $client->epsv;
  is($ports->(), '1 leased, 0 quarantined', '... one is');
  $client->epsv;
  $client->cmd('NOOP');
  is($ports->(), '1 leased, 1 quarantined', '... and another, after which the first is in quarantine');
  $client->quit;
  ok(Net::wait_for(sub { $ports->() eq '0 leased, 2 quarantined' }, 5), '... and at the end both') or diag $ports->();
}

# A node of a fleet: its part of the ports, and of the outside ones.
{
  my $node = Server->start(modules => ['mod_natpasv'], env => { NODE => 2 }, config =>
    "NATPasvEngine on\nNATPasvPool a 21100-21103 external 41100 slice %{env:NODE}/2 quarantine 0s\nNATPasvRule * pool a share any\n");
  my @clients = map { Client->connect('127.0.0.1', $node->port)->login } 1 .. 2;
  my @ports = sort map { ($_->epsv)[1] } @clients;
  is_deeply(\@ports, [41102, 41103], 'the second of two nodes announces the second half of the outside ports');
  ok($clients[0]->data('127.0.0.1', $_ - 20000), "... and listens on port @{[$_ - 20000]}") for @ports;
}

done_testing;
