# The laboratory: three classes of clients, each with a pool and an address of
# its own. The LAN comes directly, the public through the NAT of the router, and
# partners through an HAProxy in TCP mode that maps 41000-41049 to 61000-61049:
# once one that the server sees in place of the clients, once one that keeps
# their addresses. curl and lftp, PASV and EPSV, down and up.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(make_path);
use NatLab;
use POSIX ();
use RealClients;
use Seed;
use Server;
use Test::More;

my $why = NatLab::unavailable() // Server::unavailable();
plan skip_all => $why if $why;
for my $tool (qw(haproxy strace curl lftp)) {
  plan skip_all => "$tool is missing" unless grep { -x "$_/$tool" } qw(/usr/sbin /usr/bin);
}

my $lab = NatLab->new(ports => '60000-60049')->internet;
my $dir = $lab->dir;
my $server = $lab->server(modules => [qw(mod_extip mod_natpasv)], config => sub { <<"EOC" });
<Class lan>
From 192.168.1.20
</Class>
<Class partners>
From 192.168.1.2 203.0.113.0/24
</Class>
ExtIPEngine on
ExtIPTable $_[0]{dir}/state/extip.tab
ExtIPOptions AllowReserved
ExtIPSource @{[$lab->http]}
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool lan      50000-50049
NATPasvPool public   60000-60049
NATPasvPool partners 61000-61049 external 41000
NATPasvRule lan      pool lan      address local
NATPasvRule partners pool partners address 203.0.113.1
NATPasvRule *        pool public   address extip
LogFormat passive "%a %{note:mod_natpasv.pool} %{note:mod_natpasv.address}:%{note:mod_natpasv.port}"
ExtendedLog $_[0]{dir}/passive.log MISC passive
EOC
ok(Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /\Q198.51.100.7\E/ }, 10), 'the server knows its outside address');
my $down = join '', map { pack 'N', rand 2**32 } 1 .. 50_000;
$server->file('down', text => $down);

# Where each client connects, what it is to be told, and where the server is to
# listen.
my %client = (
  lan    => { host => 'lan',    server => '192.168.1.10', address => '192.168.1.10', announced => 50000, listens => 50000 },
  public => { host => 'client', server => '198.51.100.7', address => '198.51.100.7', announced => 60000, listens => 60000 },
  partner => { host => 'branch', server => '203.0.113.1', address => '203.0.113.1', announced => 41000, listens => 61000 },
);
sub within { my ($port, $first) = @_; return $port >= $first && $port <= $first + 49 }

# HAProxy on the router. The first keeps to an address of its own; the second
# takes that of the client, and has what comes back to it handed over.
$lab->ip(router => 'addr add 192.168.1.2/24 dev lan0');
sub haproxy {
  my ($name, $source) = @_;
  my $config = "$dir/haproxy-$name.cfg";
  NatLab::write_file($config, <<"EOC");
global
  uid @{[$source =~ /usesrc/ ? 0 : Server::uid()]}
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  source $source
listen control
  bind 203.0.113.1:21
  server ftp 192.168.1.10:21
listen data
  bind 203.0.113.1:41000-41049
  server ftp 192.168.1.10:+20000
EOC
  my $pid = $lab->spawn(router => 'haproxy', '-db', '-f', $config);
  Net::wait_port('203.0.113.1', 21, $lab->ns('branch'), 10) or die Server::slurp("$dir/router.log");
  return $pid;
}
sub transparent {
  $lab->must(router => 'nft', 'add table ip mangle; add chain ip mangle pre { type filter hook prerouting priority mangle; };'
      . ' add rule ip mangle pre iifname "lan0" socket transparent 1 meta mark set 1');
  $lab->must(router => 'sh', '-c', 'ip rule add fwmark 1 lookup 100 && ip route add local default dev lo table 100');
}

# What the server really binds, as the kernel is asked to.
my $strace = fork // die $!;
if ($strace == 0) {
  open STDERR, '>', "$dir/attached";
  exec 'strace', '-f', '-e', 'trace=bind', '-p', $server->pid, '-o', "$dir/binds" or POSIX::_exit(127);
}
Net::wait_for(sub { Server::slurp("$dir/attached") =~ /attached/ }, 10) or die 'strace is not attached';
sub binds { return Server::slurp("$dir/binds") =~ /bind\(\d+, \{sa_family=AF_INET, sin_port=htons\((\d+)\)/g }

# Both believe the address they are told.
sub script {
  my ($name, $command, $host) = @_;
  my $curl = '-v -sS -u ftp:ftp --no-ftp-skip-pasv-ip ' . ($command eq 'PASV' ? '--disable-epsv' : '');
  return $name eq 'curl'
    ? "exec curl --fail-early $curl -o down ftp://$host/down --next $curl -T up ftp://$host/up-\$\$"
    : "exec lftp -d -e 'set ftp:ssl-allow no; set ftp:fix-pasv-address no; set ftp:prefer-epsv "
      . ($command eq 'EPSV' ? 'yes' : 'no')
      . "; set net:max-retries 1; set net:timeout 20; set cmd:fail-exit yes; get down; put up -o up-'\$\$'; quit' -u ftp,ftp ftp://$host";
}

sub rounds {
  my ($proxy, @who) = @_;
  my (@jobs, %job);
  for my $who (@who) {
    for my $name (qw(curl lftp)) {
      for my $command (qw(PASV EPSV)) {
        my $job = "$who, $name, $command";
        my $home = "$dir/" . ($proxy . $job) =~ s/\W+/-/gr;
        make_path($home);
        NatLab::write_file("$home/up", "up $proxy $job " x 5000);
        $job{$job} = { who => $who, command => $command, home => $home };
        push @jobs, [$job, $lab->ns($client{$who}{host}), $home, script($name, $command, $client{$who}{server})];
      }
    }
  }
  my %result = RealClients::together(60, @jobs);
  my %stored = map { Server::slurp($_) => 1 } glob $server->home . '/up-*';
  for my $job (sort keys %job) {
    my ($home, $command) = @{ $job{$job} }{qw(home command)};
    my $is = $client{ $job{$job}{who} };
    my $said = $result{$job}{said};
    my @told = map { [$_->[0], $_->[1] * 256 + $_->[2]] }
      map { [join('.', @$_[0 .. 3]), @$_[4, 5]] }
      map { [split /,/] } $said =~ /^<\S* 227 .*\((\d+(?:,\d+){5})\)/mg;
    @told = map { [undef, $_] } $said =~ /^<\S* 229 .*\(\|\|\|(\d+)\|\)/mg if $command eq 'EPSV';
    my $well = is($result{$job}{status}, 0, "$proxy, $job: ends well")
      & ok(Server::slurp("$home/down") eq $down, '... the download is whole')
      & ok($stored{ Server::slurp("$home/up") }, '... the upload too')
      & is(scalar @told, 2, "... by two answers to $command")
      & is_deeply([grep { $command eq 'PASV' && $_->[0] ne $is->{address} } @told], [], "... with the address $is->{address}")
      & is_deeply([grep { !within($_->[1], $is->{announced}) } @told], [], "... and ports from $is->{announced} on");
    diag($said) unless $well;
    push @{ $is->{told} }, map { $_->[1] + $is->{listens} - $is->{announced} } @told;
  }
}

my $own = haproxy('own', '192.168.1.2');
rounds('HAProxy with an address of its own', qw(lan public partner));
like(Server::slurp("$server->{dir}/passive.log"), qr/^192\.168\.1\.2 partners 203\.0\.113\.1:410\d\d$/m, 'the server sees the address of HAProxy');
kill 'TERM', $own;
waitpid $own, 0;
transparent();
my $clear = haproxy('clear', '0.0.0.0 usesrc clientip');
rounds('HAProxy that keeps addresses', 'partner');
like(Server::slurp("$server->{dir}/passive.log"), qr/^203\.0\.113\.50 partners 203\.0\.113\.1:410\d\d$/m, 'the server sees the address of the client');

kill 'INT', $strace;
waitpid $strace, 0;
# Each listener is one that was announced, of the right pool.
is_deeply([sort { $a <=> $b } binds()], [sort { $a <=> $b } map { @{ $_->{told} } } values %client],
  'the server bound exactly the ports that were announced, partners 20000 higher');

done_testing;
