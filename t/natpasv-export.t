# ftpdctl natpasv export: what stands in front takes each configuration as it is
# printed, every port of every pool leads where it should, and nftables, HAProxy
# and nginx carry transfers by it.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use File::Temp ();
use NatLab;
use Server;
use Test::More;

my $why = Net::unavailable() // Server::unavailable();
plan skip_all => $why if $why;

sub find { my ($program) = @_; return (grep { -x } map { "$_/$program" } qw(/usr/sbin /usr/bin))[0] }
my $stream = (glob '/usr/lib/nginx/modules/ngx_stream_module.so')[0];
my $yaml = eval { require YAML::XS; 1 };
my $dir = File::Temp::tempdir('export-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# What takes it: the reason why not, or nothing. Each is run as in the field.
sub says { my ($command) = @_; my $said = `$command 2>&1`; return $? ? $said || "status $?" : undef }
sub yaml { my ($text, $check) = @_; my @documents = eval { YAML::XS::Load($text) } or return "no YAML: $@"; return $check->(@documents) }
sub ports_of { my ($service) = @_; return @{ ref $service eq 'HASH' && $service->{ports} || [] } }
my %takes = (
  haproxy => sub {
    NatLab::write_file("$dir/haproxy.cfg", $_[0]);
    my $said = `haproxy -c -f $dir/haproxy.cfg 2>&1`;
    return $? == 0 && $said !~ /WARNING|ALERT/ ? undef : $said || "status $?";
  },
  nginx => sub {
    NatLab::write_file("$dir/nginx.conf", "load_module $stream;\npid $dir/nginx.pid;\nevents { worker_connections 4096; }\n$_[0]");
    my $said = `nginx -t -c $dir/nginx.conf -e $dir/nginx.log 2>&1`;
    return $said =~ /test is successful/ && $said !~ /warn/ ? undef : $said;
  },
  nftables => sub { NatLab::write_file("$dir/rules.nft", $_[0]); return says("nft -c -f $dir/rules.nft") },
  # The fields that the API and the schema of Compose require.
  kubernetes => sub {
    return yaml($_[0], sub {
      for my $service (@_) {
        return 'no Service of v1' if $service->{apiVersion} ne 'v1' || $service->{kind} ne 'Service';
        return 'no name' if $service->{metadata}{name} !~ /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
        return 'no selector' if ref $service->{spec}{selector} ne 'HASH' || !%{ $service->{spec}{selector} };
        my (%name, %port);
        for my $entry (ports_of($service->{spec})) {
          return "port $entry->{port}" if $entry->{port} !~ /^\d+$/ || $port{ $entry->{port} }++;
          return "name $entry->{name}" if $entry->{name} !~ /^[a-z0-9-]{1,15}$/ || $name{ $entry->{name} }++;
        }
        return 'no ports' if !%port;
      }
      return;
    });
  },
  compose => sub {
    return yaml($_[0], sub {
      my ($file) = @_;
      return 'no services' if ref $file->{services} ne 'HASH' || !%{ $file->{services} };
      for my $service (values %{ $file->{services} }) {
        return 'no image' if !$service->{image};
        return "ports $_" for grep { !/^\d+(-\d+)?:\d+(-\d+)?$/ } ports_of($service);
      }
      return;
    });
  },
  traefik => sub {
    return yaml($_[0], sub {
      my ($static, $dynamic) = @_;
      my ($points, $routers, $services) = ($static->{entryPoints}, @{ $dynamic->{tcp} }{qw(routers services)});
      for my $name (keys %$routers) {
        my $router = $routers->{$name};
        return "entry point of $name" if grep { !$points->{$_}{address} } @{ $router->{entryPoints} };
        return "rule of $name" if $router->{rule} ne 'HostSNI(`*`)';
        return "service of $name" if !@{ $services->{ $router->{service} }{loadBalancer}{servers} };
      }
      return keys %$routers == keys %$points ? () : 'an entry point leads nowhere';
    });
  },
);
my %missing = (
  haproxy => find('haproxy') ? undef : 'haproxy is missing',
  nginx => find('nginx') && $stream ? undef : 'nginx with its stream module (libnginx-mod-stream) is missing',
  nftables => find('nft') ? undef : 'nft is missing',
  map { $_ => $yaml ? undef : 'YAML::XS (libyaml-libyaml-perl) is missing' } qw(kubernetes compose traefik),
);
my @fronts = qw(haproxy nginx nftables kubernetes compose traefik);

# Which outside port leads to which port of which host, read from the text.
sub range { my ($first, $last) = split /-/, $_[0]; return $first .. $last // $first }
sub pairs { my ($host, $outside, $inside) = @_; my @inside = range($inside); return map { $_ => "$host:" . shift @inside } range($outside) }
my %leads = (
  haproxy => sub {
    my %to;
    for my $section (split /^listen /m, $_[0]) {
      my ($host, $shift) = $section =~ /^  server node\d+ ([\d.]+)(?::([-+]?\d+))?/m or next;
      for my $port (map { range($_) } $section =~ /^  bind :(\S+)/mg) { $to{$port} = "$host:" . (($shift // '') =~ /^\d/ ? $shift : $port + ($shift // 0)) }
    }
    return %to;
  },
  nginx => sub {
    my ($text) = @_;
    my %map = $text =~ /\b(\d+) (\d+);/g;
    my %upstream = $text =~ /upstream (\w+) \{.*?server ([\d.:]+);/gs;
    my %to;
    while ($text =~ /^  server \{\n(.*?)^  \}/msg) {
      my $server = $1;
      my ($pass) = $server =~ /proxy_pass (\S+);/;
      for my $port (map { range($_) } $server =~ /listen (\S+);/g) { $to{$port} = $upstream{$pass} // $pass =~ s/\$\w+$/$map{$port} \/\/ $port/er }
    }
    return %to;
  },
  nftables => sub {
    my ($text) = @_;
    my %map = $text =~ /\b(\d+) : (\d+),/g;
    return map { my ($ports, $host) = @$_; map { $_ => "$host:" . ($map{$_} // $_) } range($ports) }
      grep { @$_ } map { [/dport (\S+) dnat ip to ([\d.]+)/] } $text =~ /^ .*dnat.*/mg;
  },
  kubernetes => sub { return map { map { $_->{port} => "127.0.0.1:$_->{targetPort}" } ports_of($_->{spec}) } YAML::XS::Load($_[0]) },
  compose => sub { return map { map { pairs('127.0.0.1', split /:/) } ports_of($_) } values %{ YAML::XS::Load($_[0])->{services} } },
  traefik => sub {
    my ($static, $dynamic) = YAML::XS::Load($_[0]);
    my ($points, $routers, $services) = ($static->{entryPoints}, @{ $dynamic->{tcp} }{qw(routers services)});
    return map { $points->{ $_->{entryPoints}[0] }{address} =~ s/^://r => $services->{ $_->{service} }{loadBalancer}{servers}[0]{address} } values %$routers;
  },
);

# Daemons answer once a second, so all are asked at a time: [server, words].
sub exports {
  my @asked = map { open my $out, '-|', "$Server::FTPDCTL -s $_->[0]{dir}/run/ctrls.sock natpasv export $_->[1] 2>&1" or die $!; $out } @_;
  return map { local $/; readline($_) =~ s/^ftpdctl: //gmr } @asked;
}

my %told = (haproxy => qr/ send-proxy check/, nginx => qr/^    proxy_protocol on;$/m, traefik => qr/^        proxyProtocol: \{version: 1\}$/m);
my $port = 2121;
sub server { my ($config) = @_; return Server->start(port => $port++, modules => ['mod_ifsession', 'mod_proxy_protocol_stub', 'mod_natpasv'], config => "$config\n") }
my @cases = (
  ['PassivePorts alone', "PassivePorts 61000 61049\nMasqueradeAddress 203.0.113.10\n", pairs('127.0.0.1', '61000-61049', '61000-61049')],
  ['PassivePorts around the control port', "PassivePorts 2100 2130\n", map { pairs('127.0.0.1', $_, $_) } '2100-2121', '2123-2130'],
  ['a pool, without that of the LAN', "NATPasvPool public 61000-61049\nNATPasvPool lan 50000-50009\nNATPasvRule lan pool lan address local\nNATPasvRule * pool public\n<Class lan>\nFrom 10.0.0.0/8\n</Class>\n",
    pairs('127.0.0.1', '61000-61049', '61000-61049')],
  ['other ports outside', "NATPasvPool a 61040-61049,61000-61009 external 41000\nNATPasvPool b 62000-62009\nNATPasvRule * pool a\n<IfUser x>\nNATPasvRule * pool b\n</IfUser>\n",
    pairs('127.0.0.1', '41000-41009', '61040-61049'), pairs('127.0.0.1', '41010-41019', '61000-61009'), pairs('127.0.0.1', '62000-62009', '62000-62009')],
  ['the second of three slices', "NATPasvPool a 61000-61014,61100-61114 slice 2/3\nNATPasvRule * pool a\n",
    pairs('127.0.0.1', '61010-61014', '61010-61014'), pairs('127.0.0.1', '61100-61104', '61100-61104')],
  ['the PROXY protocol', "NATPasvPool a 61000-61009\nNATPasvRule * pool a from any\nProxyProtocolEngine on\n", pairs('127.0.0.1', '61000-61009', '61000-61009')],
  ['IPv6', "UseIPv6 on\nNATPasvPool a 61000-61009 listen ::1\nNATPasvPool b 61010-61019 external 41000 listen ::1\nNATPasvRule * pool a\n<IfUser x>\nNATPasvRule * pool b\n</IfUser>\n"],
  ['a slice of other ports outside', "NATPasvPool a 61000-61029 external 41000 slice 3/3\nNATPasvRule * pool a\n", pairs('127.0.0.1', '41020-41029', '61020-61029')],
);
my @servers = map { server("NATPasvEngine on\n$_->[1]") } @cases;
my @texts = exports(map { my $server = $_; map { [$server, $_] } @fronts } @servers);
for my $case (@cases) {
  my ($what, $config, %expected) = @$case;
  my $control = (shift @servers)->port;
  $expected{$control} = "127.0.0.1:$control";
  for my $front (@fronts) {
    my $text = shift @texts;
    SKIP: {
      skip $missing{$front}, 2 if $missing{$front};
      is($takes{$front}->($text), undef, "$what: $front takes it") or diag $text;
      if ($what eq 'IPv6') { ok($text =~ /::1\b/ || $front =~ /^(?:kubernetes|compose)$/, '... with the address') or diag $text; next }
      is_deeply({ $leads{$front}->($text) }, \%expected, '... each port leads to that of the server') or diag $text;
      if (my $word = $told{$front}) {
        is(scalar(() = $text =~ /$word/g), $config =~ /Proxy/ ? 1 : 0, "... and $front tells the client's address if the server wants it");
      }
      next if $config !~ /slice/;
      my $all = $text =~ s/^#(?=\S|  )//mgr =~ s/\bNODE(\d+)/10.0.0.$1/gr;
      is($takes{$front}->($all), undef, '... with the other nodes in it, too') or diag $all;
      my %to = $leads{$front}->($all);
      is(scalar(grep { $_ != $control } keys %to), 30, '... which together have all ports');
    }
  }
}

# The address of the server, which listens on it alone, or on all of the host's:
# then it is DefaultAddress, or the one from which the host connects to others.
{
  system('ip link add v0 type veth peer name v1 && ip addr add 192.168.7.10/24 dev v0 && ip addr add 192.168.7.11/24 dev v0 && ip link set v0 up && ip link set v1 up'
      . ' && ip route add default via 192.168.7.1') == 0 or die 'no network';
  my $pool = "NATPasvEngine on\nPassivePorts 61000 61009\n";
  my @servers = (server($pool), map { server("${pool}SocketBindTight off\n$_") } '', 'DefaultAddress 192.168.7.11');
  is_deeply([map { /server node1 ([\d.]+):/ } exports(map { [$_, 'haproxy'] } @servers)], ['127.0.0.1', '192.168.7.10', '192.168.7.11'],
    'the address of the server: SocketBindTight, none, DefaultAddress');
}

# What is asked wrongly, and what cannot be.
my $all = join ', ', @fronts;
my $huge = server("NATPasvEngine on\nPassivePorts 61000 61999");
my $many = join '', map { my $first = $_; "NATPasvPool p$_ @{[join ',', map { $first + 2 * $_ } 0 .. 63]} slice 1/64\nNATPasvRule c$_ pool p$_\n" } 30000, 30200;
my @answers = (
  [$huge, 'apache', "'apache': allowed are $all"],
  [$huge, '', "a word is missing: expected $all"],
  [$huge, 'haproxy json', "'json': allowed are $all"],
  [$huge, 'kubernetes', 'kubernetes: a Service has an entry for each port, and 1001 ports are more than 100: use smaller pools and a longer wait'],
  [$huge, 'traefik', 'traefik: an entry point has one port, and 1001 ports are more than 100: use smaller pools and a longer wait'],
  [server('NATPasvEngine off'), 'haproxy', 'NATPasvEngine is on for no server with a port'],
  [server('NATPasvEngine on'), 'nginx', 'there is neither PassivePorts nor a NATPasvPool with a NATPasvRule for clients outside'],
  [server("NATPasvEngine on\n$many"), 'haproxy', 'haproxy: 972 lines are more than ftpdctl can show, 900: use pools with fewer ports or ranges, or fewer slices'],
);
my @short = qw(haproxy nginx nftables compose);
my @said = exports(@answers, map { [$huge, $_] } @short);
is(shift(@said) =~ s/\n\z//r, $_->[2], "export $_->[1]: what cannot be shown is told") for @answers;
cmp_ok(scalar(() = shift(@said) =~ /\n/g), '<', 30, "1,000 ports are a range: $_") for @short;

# The laboratory: the router has nothing but what is exported.
my $lacks = NatLab::unavailable() // $missing{haproxy};
SKIP: {
  skip $lacks, 9 if $lacks;
  my $lab = NatLab->new;
  my $server = $lab->server(modules => ['mod_natpasv'], config => <<"EOC");
NATPasvEngine on
MasqueradeAddress @{[$lab->external]}
NATPasvPool public 61000-61009,61020-61029 external 41000
NATPasvRule * pool public share any
EOC
  my $down = join '', map { pack 'N', rand 2**32 } 1 .. 20_000;
  $server->file('down', text => $down);
  my $through = sub {
    my ($front, $seen) = @_;
    Net::wait_for(sub { $lab->run(client => 'curl', '-sS', '--max-time', 2, '-u', 'ftp:ftp', 'ftp://' . $lab->external . '/'); $? == 0 }, 10);
    my $client = Client->connect($lab->external, 21, netns => $lab->ns('client'))->login;
    $client->cmd('TYPE I');
    my $well = 0;
    for (1 .. 20) {
      my ($code, $text, $bytes) = $client->retr('down', epsv => $_ % 2);
      $well += $code == 226 && $bytes eq $down;
      ($code) = $client->stor('up', $down, epsv => $_ % 2);
      $well += $code == 226 && Server::slurp($server->home . '/up') eq $down;
    }
    is($well, 40, "$front: transfers in both directions, by PASV and EPSV");
    my ($address, $told) = $client->pasv;
    ok($told >= 41000 && $told < 41020 && $address eq $lab->external, '... on the ports outside');
    like(($server->ctl('natpasv', 'status'))[1], qr/^public +20 /m, '... of the pool');
  };
  my ($rules, $proxy, $nginx) = exports(map { [$server, $_] } 'nftables', 'haproxy', 'nginx');
  $lab->nft("flush ruleset\n$rules" . <<'EOC');
table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop
    ct status dnat accept
  }
}
EOC
  $through->('nftables');
  $lab->nft("flush ruleset\n");
  NatLab::write_file("$dir/front.cfg", $proxy);
  chmod 0755, $dir;
  my $haproxy = $lab->spawn(router => 'haproxy', '-db', '-f', "$dir/front.cfg");
  $through->('HAProxy');
  skip $missing{nginx}, 3 if $missing{nginx};
  kill 'KILL', $haproxy;
  waitpid $haproxy, 0;
  NatLab::write_file("$dir/front.conf", "load_module $stream;\npid $dir/front.pid;\ndaemon off;\nevents { }\n$nginx");
  $lab->spawn(router => 'nginx', '-c', "$dir/front.conf", '-e', "$dir/front.log");
  $through->('nginx');
}

done_testing;
