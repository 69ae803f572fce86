# Who knows the port of another's listener and connects first gets nothing: the
# kernel drops his packets, or where it does not, his connection is closed, and
# the client finds the listener as it was.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::IP;
use Server;
use Socket qw(AF_INET AF_INET6 SOL_SOCKET SO_LINGER SOCK_STREAM SOCK_NONBLOCK inet_pton pack_sockaddr_in pack_sockaddr_in6);
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

my %at = (client => '203.0.113.9', near => '203.0.113.77', stranger => '198.51.100.7', friend => '192.0.2.5');
my %six = (client => '2001:db8::9', near => '2001:db8::77', stranger => '2001:db8:1::7', friend => '2001:db8:2::5');
system('ip', 'addr', 'add', "$_/32", 'dev', 'lo') for values %at;

my $no_six = grep({ system('ip', '-6', 'addr', 'add', "$_/128", 'dev', 'lo', 'nodad') != 0 } values %six) && 'no IPv6 here';

my $body = join '', map { chr($_ % 251) } 1 .. 30_000;

# What virtual hosts say of who may connect, and who gets in, at IPv4 and at
# IPv6 addresses.
my @words = (
  ['NATPasvRule * pool all from client', 'client'],
  ['NATPasvRule * pool all from client/24', 'client near'],
  ['NATPasvRule * pool all from client/26', 'client'],
  ['NATPasvRule * pool all from client/25', 'client near'],
  ['NATPasvRule * pool all from friends', 'client friend'],
  ['NATPasvRule * pool all from nobody', 'client'],
  ['NATPasvRule * pool all from any', 'client near stranger friend'],
  ['NATPasvRule * pool all from auto', 'client'],
  ['NATPasvRule * pool all', 'client'],
  ["NATPasvRule * pool all\nAllowForeignAddress off", 'client'],
  ["NATPasvRule * pool all\nAllowForeignAddress friends", 'client friend'],
  ["NATPasvRule * pool all\nAllowForeignAddress on", 'client near stranger friend'],
  ["NATPasvRule * pool all from client\nAllowForeignAddress on", 'client'],
);
my @six_words = (
  ['NATPasvRule * pool all from client', 'client'],
  ['NATPasvRule * pool all from client/24', 'client near'],
  ['NATPasvRule * pool all from client/64', 'client near'],
  ['NATPasvRule * pool all from client/32', 'client near'],
  ['NATPasvRule * pool all from client/33', 'client near stranger friend'],
  ['NATPasvRule * pool all from client/127', 'client'],
  ['NATPasvRule * pool all from friends', 'client friend'],
);
my @hosts = map { "127.0.1.$_" } 1 .. @words;
my @six_hosts = map { "2001:db8:9::$_" } 1 .. @six_words;
system('ip', 'addr', 'add', "$_/32", 'dev', 'lo') for @hosts;
if ($no_six) { @six_words = @six_hosts = () }
system('ip', '-6', 'addr', 'add', "$_/128", 'dev', 'lo', 'nodad') for @six_hosts;

# A server at IPv4 and IPv6 addresses, or on one socket of IPv6 for all of IPv4.
sub server {
  my ($rule, %opt) = @_;
  my $server = Server->start(modules => [qw(mod_tls mod_natpasv)], base => '', config => sub { my ($self) = @_; <<"EOC" });
ServerName strangers
User nobody
Group nogroup
MaxInstances none
<IfModule mod_delay.c>
DelayEngine off
</IfModule>
UseIPv6 @{[$no_six ? 'off' : 'on']}
UseReverseDNS off
DefaultAddress 127.0.0.1
SocketBindTight @{[$opt{all} ? 'off' : 'on']}
Port $self->{port}
<Class friends>
From 192.0.2.0/24@{[$no_six ? '' : "\nFrom 2001:db8:2::/48"]}
</Class>
<Class nobody>
From 192.0.2.250
</Class>
NATPasvLog $self->{dir}/natpasv.log
NATPasvPool all 30000-30999 quarantine 0s
$rule
<Global>
AuthUserFile $self->{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
RootRevoke @{[$opt{root} ? 'off' : 'on']}
<IfModule mod_cap.c>
CapabilitiesEngine @{[$opt{root} ? 'off' : 'on']}
</IfModule>
AllowOverwrite on
NATPasvEngine on
TimeoutStalled 30
@{[Server::tls()]}
</Global>
@{[$opt{all} ? '' : virtual_hosts($self->{port}, $rule)]}
EOC
  $server->file('body', text => $body);
  return $server;
}

sub virtual_hosts {
  my ($port, $rule) = @_;
  my %rules = ($no_six ? () : ('::1' => $rule));
  @rules{@hosts, @six_hosts} = map { $_->[0] } @words, @six_words;
  return join '', map { "<VirtualHost $_>\nPort $port\n$rules{$_}\n</VirtualHost>\n" } sort keys %rules;
}

# A client at an address, 127.0.0.1 or another of the server's.
sub client {
  my ($server, %opt) = @_;
  my $client = Client->connect($opt{host} // '127.0.0.1', $server->port, from => $opt{from} // $at{client});
  $client->auth_tls if $opt{tls};
  $client->login->cmd('TYPE I');
  return $client;
}

# A connection that is begun and not waited for.
sub begin_connection {
  my ($from, $host, $port) = @_;
  my ($family, $pack) = $host =~ /:/ ? (AF_INET6, \&pack_sockaddr_in6) : (AF_INET, \&pack_sockaddr_in);
  socket my $socket, $family, SOCK_STREAM | SOCK_NONBLOCK, 0 or die "socket: $!";
  bind $socket, $pack->(0, inet_pton($family, $from)) or die "bind $from: $!";
  connect $socket, $pack->($port, inet_pton($family, $host)) or $!{EINPROGRESS} or die "connect: $!";
  return $socket;
}

sub dropped { return $_[0]->ctl_json('natpasv', 'status')->{pools}[0]{dropped} }

# A download, with a stranger who is first.
sub download {
  my ($client, $from, %opt) = @_;
  my (undef, $port) = $opt{epsv} ? $client->epsv : $client->pasv;
  my $stranger = begin_connection($from, $client->{host}, $port);
  if ($opt{reset}) {
    setsockopt $stranger, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 or die "SO_LINGER: $!";
    close $stranger;
  }
  my $data = $client->data($client->{host}, $port) or return 'not connected';
  my ($code) = $client->cmd('RETR body');
  return $code unless $code == 150;
  $data = $client->data_tls($data) or return 'no TLS';
  my $bytes = '';
  1 while sysread $data, $bytes, 65536, length $bytes;
  close $data;
  ($code) = $client->reply;
  return $code . ($bytes eq $body ? ' whole' : ' broken') if $opt{reset};
  my $got = $opt{filtered} && getpeername $stranger ? ', stranger connected' : sysread($stranger, my $stolen, 100) ? ', stranger served' : '';
  return $code . ($bytes eq $body ? ' whole' : ' broken') . $got;
}

# ProFTPD that goes on waiting when getpeername() fails.
my $goes_on = !Server::refuses_others();

# Whether this kernel lets sessions set a filter: as root, or at all.
my $unit = "$Server::BUILD/unit/natpasv-filter";
my $as_root = system("$unit >/dev/null 2>&1") == 0;
my $as_user = $as_root && system("setpriv --reuid=65534 --clear-groups $unit >/dev/null 2>&1") == 0;
diag('filters: as root ' . ($as_root ? 'yes' : 'no') . ', as anybody ' . ($as_user ? 'yes' : 'no'));

# The race, many times: over IPv4, IPv6, and IPv4 on a socket of IPv6; with
# sessions that the kernel lets set a filter, and with others.
sub race {
  my ($server, $name, $host, $stranger, $filtered) = @_;
  my $times = $ENV{LONG} ? 1000 : $ENV{SANITIZE} ? 6 : 30;
  my $how = $filtered ? 'filtered' : 'compared';
  my @from = (host => $host, from => $host =~ /:/ ? $six{client} : $at{client});
  my $before = dropped($server);
  my $client = client($server, @from);
  my %became;
  $became{ download($client, $stranger, epsv => $host =~ /:/ || $_ % 2, filtered => $filtered) }++ for 1 .. $times;
  is_deeply(\%became, { '226 whole' => $times }, "$name, $how: a stranger is first $times times and changes nothing");
SKIP: {
    skip 'this ProFTPD ends the transfer when getpeername() fails', 1 unless $filtered or $goes_on;
    is_deeply([map { download($client, $stranger, epsv => scalar($host =~ /:/), reset => 1) } 1 .. 5], [('226 whole') x 5], '... nor if he resets his connection at once');
  }
  my $secure = client($server, @from, tls => 1);
  is_deeply([map { download($secure, $stranger, epsv => 1) } 1 .. 3], [('226 whole') x 3], '... nor over TLS');
  my (undef, $port) = $host =~ /:/ ? $client->epsv : $client->pasv;
  my @crowd = map { begin_connection($stranger, $host, $port) } 1 .. 10;
  $client->send('STOR up');
  sleep 0.3;
  my $data = $client->data($host, $port);
  is(($client->reply)[0], 150, '... nor ten of them to an upload');
  syswrite $data, $body;
  close $data;
  $client->reply;
  is(Server::slurp($server->home . '/up'), $body, '... that is whole');
  $_->leave for $client, $secure;
  cmp_ok(dropped($server) - $before, '>=', $times, '... and what he sent is counted');
}

# A client that will send RETR, and who connects to its listener first, unless
# that comes later. observe() tells when he is served.
sub begin_transfer {
  my ($server, $host, $from, $later) = @_;
  my $client = client($server, host => $host, from => $host =~ /:/ ? $six{client} : $at{client});
  my (undef, $port) = $host =~ /:/ ? $client->epsv : $client->pasv;
  return { client => $client, port => $port, data => $later ? undef : begin_connection($from, $host, $port) };
}

# Until all of these are served.
sub observe {
  my ($all, @until) = @_;
  my $select = IO::Select->new(map { $_->{data} } @$all);
  my %of = map { fileno $_->{data} => $_ } @$all;
  my $end = time + Limits::of(10);
  while (time < $end and grep { !defined $_->{served} } @until) {
    for my $data ($select->can_read(0.1)) {
      my $one = $of{ fileno $data };
      $one->{served} = time - $one->{begin} if sysread $data, my $bytes, 100;
      $select->remove($data);
    }
  }
}

# Each word of "from", and what AllowForeignAddress says: who gets in. With
# "auto" somebody else does after five seconds, which is when the others are
# known not to.
sub words {
  my ($server, $how) = @_;
  my (@cases, @all);
  my @who = qw(client near stranger friend);
  for ((map { [$hosts[$_], \%at, @{ $words[$_] }] } 0 .. $#hosts), map { [$six_hosts[$_], \%six, @{ $six_words[$_] }] } 0 .. $#six_hosts) {
    my ($host, $addresses, $rules, $in) = @$_;
    my %begun = map { $_ => begin_transfer($server, $host, $addresses->{$_}) } @who;
    push @cases, { rules => $rules, in => $in, who => \%begun, name => $rules =~ s/NATPasvRule \* pool all/rule/r =~ s/\n/, /r . ", $how" . ($host =~ /:/ ? ', IPv6' : '') };
    push @all, values %begun;
  }

  # No transfer is asked for here.
  my $idle = begin_transfer($server, $hosts[7], $at{stranger});

  for (@all) { $_->{begin} = time; $_->{client}->send('RETR body') }
  my ($auto) = grep { $_->{rules} =~ /auto/ } @cases;
  observe(\@all, values %{ $auto->{who} }, map { my $case = $_; map { $case->{who}{$_} } split ' ', $case->{in} } @cases);

  for my $case (@cases) {
    is(join(' ', grep { ($case->{who}{$_}{served} // 9) < 5 } @who), $case->{in}, "$case->{name}: gets in: $case->{in}");
  }

  my @late = map { $auto->{who}{$_}{served} // 'never' } qw(near stranger friend);
  is(scalar(grep { /^[5-9]/ && $_ < 5 + Limits::of(0.25) } @late), 3, "... and with auto, the others after five seconds") or diag("@late");
  like($server->log, qr/client 203\.0\.113\.9 has not connected within five seconds, and 1 connections came from other addresses: the first of them is used; .* NATPasvRule \.\.\. from/,
    '... with a line in the log');
  auto_waits($idle);
  says_why($server, $cases[0]{who}{friend}{client});
}

# As long as no transfer is asked for, no stranger gets in.
sub auto_waits {
  my ($idle) = @_;
  my $client = $idle->{client};
  my $data = $client->data($client->{host}, $idle->{port});
  $client->send('RETR body');
  my $bytes = '';
  1 while sysread $data, $bytes, 65536, length $bytes;
  is(length $bytes, length $body, '... but none as long as no transfer is asked for');
}

# A client whose own connection never came.
sub says_why {
  my ($server, $client) = @_;
  $client->send('ABOR');
  Net::wait_for(sub { ($client->reply)[0] == 226 }, 5);
  $client->close;
  Net::wait_for(sub { $server->log =~ /never connected/ }, 5);
  like($server->log, qr/never connected to port 30\d\d\d of pool 'all', announced with address 127\.0\.1\.1: .*; [1-9]\d* packets from other addresses were dropped: if the client comes from another address, see NATPasvRule \.\.\. from/,
    'a client that is kept from its listener: the log says why');
}

# From one server to another, where it is allowed.
sub server_to_server {
  my ($server, $host, $allow) = @_;
  my $there = Server->start(bind => $at{friend}, modules => [], config => "AllowForeignAddress on\n");
  $there->file('body', text => $body);
  my $to = client($server, host => $host);
  my $from = Client->connect($at{friend}, $there->port, from => $at{client})->login;
  $from->cmd('TYPE I');
  my ($code, $text) = $to->cmd('PASV');
  my ($address) = $text =~ /\(([\d,]+)\)/;
  is(($from->cmd("PORT $address"))[0], 200, "AllowForeignAddress $allow: PORT with our address at another server");
  $_->[0]->send($_->[1]) for [$to, "STOR from-$allow"], [$from, 'RETR body'];
  is_deeply([map { ($_->reply)[0] } $to, $to, $from, $from], [150, 226, 150, 226], '... and it sends a file');
  is(Server::slurp($server->home . "/from-$allow"), $body, '... that arrives');
}

for my $root (0, 1) {
  my $filtered = $root ? $as_root : $as_user;
  my $rule = 'NATPasvRule * pool all' . ($root ? ' from client' : '');
  my $server = server($rule, root => $root);
  race($server, 'IPv4', '127.0.0.1', $at{stranger}, $root && $filtered);
  words($server, $filtered ? 'filtered' : 'compared') unless $root and $ENV{SANITIZE};
  if (!$root) {
    server_to_server($server, $hosts[11], 'on');
    server_to_server($server, $hosts[10], 'friends');
  }
SKIP: {
    skip $no_six, 10 if $no_six;
    race($server, 'IPv6', '::1', $six{stranger}, $root && $filtered);
    race(server($rule, root => $root, all => 1), 'IPv4-mapped', '127.0.0.1', $at{stranger}, $root && $filtered);
  }
}

# Many times: clients whose data connections come from another address, and that
# connect before they send the command, or after it.
if ($ENV{LONG}) {
  my $server = server('NATPasvRule * pool all from auto');
  my (%became, @took);
  for my $round (1 .. 5) {
    my @all = map { begin_transfer($server, '127.0.0.1', $at{friend}, $_ % 2) } 1 .. 20;
    for (@all) { $_->{begin} = time; $_->{client}->send('RETR body') }
    $_->{data} //= begin_connection($at{friend}, '127.0.0.1', $_->{port}) for @all;
    observe(\@all, @all);
    push @took, map { $_->{served} // 99 } @all;
  }
  @took = sort { $a <=> $b } @took;
  cmp_ok($took[-1], '<', 6, sprintf 'auto: 100 of 100 data connections from another address are served, after %.1f to %.1f s', @took[0, -1]);
}

done_testing;
