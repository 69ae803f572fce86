package NatLab;

# The NAT laboratory: six hosts in network namespaces around a real router.
#
#   inet    198.51.100.2, .3   STUN (coturn) and HTTP(S) (nginx): "the Internet"
#   client  198.51.100.50      an FTP client out there
#   router  198.51.100.7       masquerades, forwards ports, forgets idle
#           192.168.1.1        connections; its outside address can change
#           203.0.113.1
#   server  192.168.1.10       ProFTPD
#   lan     192.168.1.20       a client in the same LAN
#   branch  203.0.113.50       a client with a public address whose line to the
#                              router is its own: no NAT, and no change of the
#                              outside address cuts it
#
# With another network than 198.51.100 (wan => '9.9.9'), what is outside has
# addresses that are not reserved. A janitor process takes everything down when the laboratory goes out of
# scope, and also when the test dies, is interrupted or is killed. The names
# carry the process id, so laboratories can run side by side.

use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use File::Temp ();
use Net;
use POSIX ();
use Server;

our @HOSTS = qw(wan inet client router server lan branch);
my $count = 0;

# The reason why there can be no laboratory here, or nothing.
sub unavailable {
  my $reason = Net::unavailable();
  return $reason if $reason;
  for my $tool ([turnserver => 'coturn'], [nginx => 'nginx-light'], [nft => 'nftables'],
    [conntrack => 'conntrack']) {
    my ($program, $package) = @$tool;
    return "$program (Debian package $package) is missing"
      unless grep { -x "$_/$program" } qw(/usr/sbin /usr/bin /sbin /bin);
  }
  return;
}

# forget  => seconds after which the router forgets an idle connection
# control => port of the control connection that the router forwards (21)
# ports   => data ports that it forwards ('60000-60099')
# wan     => the first three numbers of all addresses outside, as text
# keep    => a name for a laboratory that stays up until remove(name)
sub new {
  my ($class, %opt) = @_;
  my $self = bless {
    control  => 21,
    ports    => '60000-60099',
    wan      => '198.51.100',
    %opt,
    prefix   => $opt{keep} // sprintf('nat%d-%d', $$, ++$count),
    owner    => $$,
  }, $class;
  $self->{external} = "$self->{wan}.7";
  if ($opt{keep}) {
    remove($opt{keep});
    make_path($self->{dir} = "/run/$opt{keep}");
  } else {
    $self->{dir} = File::Temp::tempdir('natlab-XXXXXX', TMPDIR => 1);
    $self->hire_janitor;
  }
  chmod 0755, $self->{dir};
  $self->build;
  return $self;
}

sub ns { my ($self, $host) = @_; return namespace($self->{prefix}, $host) }
sub namespace { my ($prefix, $host) = @_; return "$prefix-$host" }
sub external { $_[0]{external} }
sub dir      { $_[0]{dir} }
sub stun     { 'stun:stun.example' }
sub http     { 'http://ip.example/' }
sub https    { 'https://ip.example/' }
sub ca       { "$_[0]{dir}/inet.crt" }

# The janitor holds the reading end of a pipe whose writing end dies with us.
sub hire_janitor {
  my ($self) = @_;
  pipe my $read, my $write or die "pipe: $!";
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    POSIX::setsid();
    $SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE);
    close $write;
    sysread $read, my $nothing, 1;
    remove($self->{prefix});
    remove_tree($self->{dir});
    POSIX::_exit(0);
  }
  close $read;
  @$self{qw(janitor leash)} = ($pid, $write);
}

# Ends all processes of a laboratory and takes its namespaces away.
sub remove {
  my ($prefix) = @_;
  remove_tree("/run/$prefix");
  for my $ns (map { namespace($prefix, $_) } @HOSTS) {
    next unless -e "/run/netns/$ns";
    my @pids = split ' ', `ip netns pids $ns 2>/dev/null`;
    kill 'KILL', @pids if @pids;
    system("ip netns del $ns 2>/dev/null");
    remove_tree("/etc/netns/$ns");
  }
}

sub stop {
  my ($self) = @_;
  delete $self->{leash} or return;
  local $?;
  waitpid delete $self->{janitor}, 0;
}

sub DESTROY { my ($self) = @_; $self->stop if $self->{owner} == $$ }

# Runs a command on a host; returns its output, $? is its status.
sub run {
  my ($self, $host, @command) = @_;
  my $pid = open(my $out, '-|') // die "fork: $!";
  if ($pid == 0) {
    open STDERR, '>&', \*STDOUT;
    exec Net::prefix($self->ns($host)), @command or POSIX::_exit(127);
  }
  local $/;
  my $said = <$out> // '';
  close $out;
  return $said;
}

sub must {
  my ($self, $host, @command) = @_;
  my $said = $self->run($host, @command);
  die "$host: @command: $said" if $?;
  return $said;
}

# Starts a command on a host that runs until the laboratory ends.
sub spawn {
  my ($self, $host, @command) = @_;
  my $pid = fork // die "fork: $!";
  return $pid if $pid;
  POSIX::setpgid(0, 0);
  open STDIN,  '<',  '/dev/null';
  open STDOUT, '>>', "$self->{dir}/$host.log";
  open STDERR, '>&', \*STDOUT;
  exec Net::prefix($self->ns($host)), @command or POSIX::_exit(127);
}

sub build {
  my ($self) = @_;
  for my $host (@HOSTS) {
    my $etc = '/etc/netns/' . $self->ns($host);
    make_path($etc);
    write_file("$etc/hosts", <<"EOF");
127.0.0.1 localhost
$self->{wan}.2 stun.example ip.example
$self->{wan}.3 stun2.example ip2.example
EOF
    write_file("$etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  }
  my %ns = map { $_ => $self->ns($_) } @HOSTS;
  my %wan_port = (inet => 'p0', client => 'p1', router => 'p2');
  my %lan_port = (server => 'p3', lan => 'p4', branch => 'branch0');
  batch(undef,
    (map { "netns add $_" } values %ns),
    (map { "link add $wan_port{$_} netns $ns{wan} type veth peer name eth0 netns $ns{$_}" } sort keys %wan_port),
    (map { "link add $lan_port{$_} netns $ns{router} type veth peer name eth0 netns $ns{$_}" } sort keys %lan_port));
  $self->ip($_ => 'link set lo up') for @HOSTS;
  $self->ip(wan => 'link add br0 type bridge', 'link set br0 up',
    map { ("link set $_ master br0", "link set $_ up") } values %wan_port);
  $self->ip(inet => (map { "addr add $self->{wan}.$_/24 dev eth0" } 2, 3), 'link set eth0 up');
  $self->ip(client => "addr add $self->{wan}.50/24 dev eth0", 'link set eth0 up');
  $self->ip(router => 'link set eth0 name wan0', 'link add lan0 type bridge',
    (map { ("link set $lan_port{$_} master lan0", "link set $lan_port{$_} up") } qw(server lan)),
    'addr add 192.168.1.1/24 dev lan0', 'link set lan0 up',
    'addr add 203.0.113.1/24 dev branch0', 'link set branch0 up',
    "addr add $self->{external}/24 dev wan0", 'link set wan0 up');
  my %inside = (server => ['192.168.1.10', '192.168.1.1'], lan => ['192.168.1.20', '192.168.1.1'],
    branch => ['203.0.113.50', '203.0.113.1']);
  for my $host (sort keys %inside) {
    my ($address, $gateway) = @{ $inside{$host} };
    $self->ip($host => "addr add $address/24 dev eth0", 'link set eth0 up', "route add default via $gateway");
  }
  $self->must(router => 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  $self->firewall;
  $self->must(router => 'sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_loose=0');
  $self->forget($self->{forget}) if $self->{forget};
}

# The router: what it forwards inwards and what it lets through.
sub firewall {
  my ($self) = @_;
  my $ports = join ', ', $self->{control}, split /\s*,\s*/, $self->{ports};
  $self->nft(<<"EOF");
flush ruleset
table ip nat {
  chain in {
    type nat hook prerouting priority dstnat
    iifname "wan0" tcp dport { $ports } dnat to 192.168.1.10
  }
  chain out {
    type nat hook postrouting priority srcnat
    oifname "wan0" masquerade
  }
}
table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop
    ct state invalid drop
    ct state established,related accept
    iifname { "lan0", "branch0" } accept
    ct status dnat accept
  }
}
EOF
}

# A file for each process: scenarios that run at the same time add rules, too.
sub nft {
  my ($self, $rules) = @_;
  my $file = "$self->{dir}/rules.$$.nft";
  write_file($file, $rules);
  $self->must(router => 'nft', '-f', $file);
}

# The router forgets connections that were idle for so many seconds.
sub forget {
  my ($self, $seconds) = @_;
  $self->must(router => 'sysctl', '-qw', "net.netfilter.nf_conntrack_tcp_timeout_established=$seconds");
}

# What a dynamic line does overnight: another address, and the connections
# that went through the old one are gone.
sub change_address {
  my ($self, $new) = @_;
  $self->ip(router => "addr del $self->{external}/24 dev wan0", "addr add $new/24 dev wan0");
  $self->run(router => 'conntrack', '-D', '-d', $self->{external});
  return $self->{external} = $new;
}

# The provider has a NAT of its own: the router gets this address, and the one that
# it had is the carrier's, who forwards nothing inwards.
sub carrier {
  my ($self, $inner) = @_;
  my $gateway = $inner =~ s/\d+$/1/r;
  $self->ip(router => "addr del $self->{external}/24 dev wan0", "addr add $inner/24 dev wan0", "route add default via $gateway");
  $self->ip(wan => "addr add $gateway/24 dev br0", "addr add $self->{external}/24 dev br0");
  $self->must(wan => 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  $self->must(wan => 'nft', "add table ip nat; add chain ip nat out { type nat hook postrouting priority srcnat; };"
    . " add rule ip nat out ip saddr $inner snat to $self->{external}");
}

# coturn and nginx on the Internet host, each on both addresses.
sub internet {
  my ($self) = @_;
  my $dir = $self->{dir};
  system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ip.example"
    . " -addext subjectAltName=DNS:ip.example,DNS:stun.example"
    . " -keyout $dir/inet.key -out $dir/inet.crt 2>/dev/null") == 0
    or die 'openssl could not make a certificate';
  chmod 0644, "$dir/inet.key";
  write_file("$dir/nginx.conf", <<"EOF");
daemon off; worker_processes 1; pid $dir/nginx.pid; user root;
events { worker_connections 64; }
http {
  access_log $dir/access.log; default_type text/plain;
  client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir;
  uwsgi_temp_path $dir; scgi_temp_path $dir;
  server {
    listen 80; listen 443 ssl;
    ssl_certificate $dir/inet.crt; ssl_certificate_key $dir/inet.key;
    location / { return 200 "\$remote_addr\\n"; }
    location /json { return 200 '{"ip":"\$remote_addr"}'; }
  }
}
EOF
  $self->spawn(inet => 'nginx', '-c', "$dir/nginx.conf", '-e', "$dir/nginx.log");
  $self->spawn(inet => 'turnserver', '-n', '--stun-only', '--no-cli', '--no-auth', '--pidfile', "$dir/turn.pid",
    '--log-file', 'stdout', (map { ('-L', "$self->{wan}.$_") } 2, 3),
    '--cert', "$dir/inet.crt", '--pkey', "$dir/inet.key");
  for my $port (80, 443, 3478) {
    Net::wait_port("$self->{wan}.2", $port, $self->ns('inet'), 20) or die "nothing listens on port $port of inet";
  }
  return $self;
}

# A ProFTPD on the server host; options as for Server->start.
sub server {
  my ($self, %opt) = @_;
  return Server->start(bind => '192.168.1.10', port => $self->{control}, netns => $self->ns('server'), %opt);
}

# The commands that enter the hosts of a kept laboratory.
sub howto {
  my ($self) = @_;
  return join '', map { '  ip netns exec ' . $self->ns($_) . " sh\n" } grep { $_ ne 'wan' } @HOSTS;
}

sub write_file {
  my ($path, $text) = @_;
  open my $file, '>', $path or die "$path: $!";
  print $file $text;
  close $file or die "$path: $!";
}

sub batch {
  my ($netns, @commands) = @_;
  open my $ip, '|-', 'ip', (defined $netns ? ('-n', $netns) : ()), '-batch', '-' or die "ip: $!";
  print $ip map { "$_\n" } @commands;
  close $ip or die 'ip could not do one of: ' . join '; ', @commands;
}

sub ip { my ($self, $host, @commands) = @_; batch($self->ns($host), @commands) }

1;
