# The PROXY protocol: HAProxy, as it is exported, tells the client's address on
# the control connection, and data connections come from HAProxy. Classes,
# quarantine, fair shares and 'from' go by the client's address. A stub is in the
# place of mod_proxy_protocol, which is not in Debian; with PROXY_PROTOCOL_SOURCE,
# a clone of Castaglia/proftpd-mod_proxy_protocol, that is built by prxs and used.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use File::Copy qw(copy);
use IO::Select;
use NatLab;
use RealClients;
use Server;
use Test::More;
use Time::HiRes qw(time);

my $why = NatLab::unavailable() // Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'mod_tls (Debian package proftpd-mod-crypto) is missing' unless Server::has_module('mod_tls');
for my $tool (qw(haproxy curl lftp)) {
  plan skip_all => "$tool is missing" unless grep { -x "$_/$tool" } qw(/usr/sbin /usr/bin);
}

my $lab = NatLab->new;
$lab->nft("flush ruleset\n");    # all that reaches the server comes through HAProxy
my $dir = $lab->dir;
my $outside = $lab->external;
my ($one, $other) = map { "$lab->{wan}.$_" } 50, 2;    # the hosts client and inet

# The one that sess_init asks first is the one that is loaded last.
my $real = $ENV{PROXY_PROTOCOL_SOURCE};
my $module = $real ? 'mod_proxy_protocol' : 'mod_proxy_protocol_stub';
my $server = Server->new(bind => '192.168.1.10', port => 21, netns => $lab->ns('server'), modules => ['mod_tls', 'mod_natpasv', $module],
  config => sub { Server::tls() . <<"EOC" });
<Class balancer>
From 192.168.1.1
</Class>
<Class partners>
From $other
</Class>
<Class fresh>
From 192.168.1.20 203.0.113.50
</Class>
ProxyProtocolEngine on
NATPasvEngine on
MasqueradeAddress $outside
NATPasvPool public 61000-61019
NATPasvPool partners 62000-62003
NATPasvPool fresh 63000-63019
NATPasvRule * pool public from balancer
NATPasvRule partners pool partners from balancer wait 0
NATPasvRule fresh pool fresh from balancer
LogFormat passive "%a %{note:mod_natpasv.pool}"
ExtendedLog $_[0]{dir}/passive.log MISC passive
EOC
if ($real) {
  copy("$real/mod_proxy_protocol.c", "$server->{dir}/mod_proxy_protocol.c") or die "PROXY_PROTOCOL_SOURCE: $!";
  system("cd $server->{dir} && prxs -c mod_proxy_protocol.c >prxs.out 2>&1") == 0 or die Server::slurp("$server->{dir}/prxs.out");
  unlink "$server->{dir}/modules/$module.so";
  symlink "$server->{dir}/.libs/$module.so", "$server->{dir}/modules/$module.so";
}
$server->run;
my $down = join '', map { pack 'N', rand 2**32 } 1 .. 20_000;
$server->file('down', text => $down);

my ($status, $text) = $server->ctl('natpasv', 'export', 'haproxy');
NatLab::write_file("$dir/haproxy.cfg", $text);
$lab->spawn(router => 'haproxy', '-db', '-f', "$dir/haproxy.cfg");
Net::wait_port($outside, 21, $lab->ns('client'), 10) or die Server::slurp("$dir/router.log");

# Real clients.
my (@jobs, %home);
for my $row (['curl', 'PASV', 0], ['curl', 'EPSV', 1], ['lftp', 'PASV', 1], ['lftp', 'EPSV', 0]) {
  my ($name, $command, $tls) = @$row;
  my $job = "$name, $command, " . ($tls ? 'FTPS' : 'FTP');
  mkdir $home{$job} = "$dir/" . $job =~ s/\W+/-/gr or die $!;
  push @jobs, [$job, $lab->ns('client'), $home{$job}, $name eq 'curl'
    ? 'exec curl -v -sS -u ftp:ftp --no-ftp-skip-pasv-ip ' . ($tls ? '--ssl-reqd -k ' : '') . ($command eq 'PASV' ? '--disable-epsv ' : '') . "-o down ftp://$outside/down"
    : "exec lftp -d -e 'set ftp:fix-pasv-address no; set ftp:prefer-epsv " . ($command eq 'EPSV' ? 'yes' : 'no') . '; set ssl:verify-certificate no; set ftp:ssl-'
      . ($tls ? 'force yes; set ftp:ssl-protect-data yes' : 'allow no') . "; set net:max-retries 1; set cmd:fail-exit yes; get down; quit' -u ftp,ftp ftp://$outside"];
}
my %result = RealClients::together(60, @jobs);
for my $job (sort keys %home) {
  ok($result{$job}{status} eq '0' && Server::slurp("$home{$job}/down") eq $down, "$job: a download") or diag $result{$job}{said};
}
unlike($server->log, qr/has not connected/, '... and no listener had to be opened to all for them');

sub client { my ($host) = @_; return Client->connect($outside, 21, netns => $lab->ns($host))->login }
sub port { my ($client) = @_; return ($client->pasv)[1] // 0 }

# Classes.
my @first = map { client($_) } 'client', 'inet';
my @port = map { port($_) } @first;
ok($port[0] >= 61000 && $port[0] < 61020, 'a client of no class: the pool of all');
ok($port[1] >= 62000 && $port[1] < 62004, '... and one of a class: the pool of the class');
ok(Net::wait_for(sub { my $log = Server::slurp("$server->{dir}/passive.log"); $log =~ /^\Q$one\E public$/m && $log =~ /^\Q$other\E partners$/m }),
  '... by the addresses that HAProxy told');

# Quarantine: what one client had is free for the other, who would get none of it
# if both had one address (and gets none by chance once in 180,000 times).
$_->leave for @first;
my %had;
for my $host (qw(branch lan)) {
  my $client = client($host);
  $had{$host} = { map { port($client) => 1 } 1 .. 10 };
  is(scalar keys %{ $had{$host} }, 10, "quarantine: ten requests of $host get ten ports");
  $client->leave;
}
ok(scalar(grep { $had{branch}{$_} } keys %{ $had{lan} }), '... of which the second client gets some of the first');

# Fair shares: one address has half of the pool, another one finds a port.
my @same = map { client('inet') } 1 .. 3;
my @got = map { port($_) } @same;
is(scalar(grep { $_ } @got), 2, 'fair: three sessions of one address get two of four ports');
like($same[2]{last}, qr/^425 .*are kept for others/, '... and are told why');
$_->leave for @same;

# Who is neither the client nor the balancer.
{
  my $client = client('client');
  $client->cmd('TYPE I');
  my $port = port($client);
  my $stranger = Net::in($lab->ns('lan'), sub { IO::Socket::IP->new(PeerHost => '192.168.1.10', PeerPort => $port, Timeout => 1) });
  my $data = $client->data($outside, $port);
  my ($code) = $client->cmd('RETR down');
  is($code, 150, 'from: the client is served through the balancer');
  my $bytes = do { local $/; readline $data };
  is(length($bytes // ''), length $down, '... in full');
  my $read = $stranger && IO::Select->new($stranger)->can_read(Limits::of(1)) ? sysread $stranger, my $got, 1 : 0;
  is($read || 0, 0, '... and a host beside it gets no byte');
}

done_testing;
