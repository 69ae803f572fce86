# What stands in front: a router, one that replaces the clients' addresses by
# another of its own (a Service of Kubernetes), and a proxy on the default
# gateway (Docker). A client outside, one in the LAN, and one of the LAN that uses
# the outside address (hairpin) transfer by PASV and EPSV, FTP and FTPS. Half of
# that without LONG. The table of who was told what is printed.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use NatLab;
use Scenarios;
use Server;
use Test::More;

my $why = NatLab::unavailable() // Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'mod_tls (Debian package proftpd-mod-crypto) is missing' unless Server::has_module('mod_tls');
plan skip_all => 'haproxy is missing' unless grep { -x "$_/haproxy" } qw(/usr/sbin /usr/bin);

my $lab = NatLab->new(control => '2101-2105', ports => '61000-61499')->internet;
my $dir = $lab->dir;
my ($outside, $inside, $gateway, $other) = ($lab->external, '192.168.1.10', '192.168.1.1', '192.168.1.2');
my ($wan, $lan) = ("$lab->{wan}.50", '192.168.1.20');
$lab->ip(router => "addr add $other/24 dev lan0");

# The configurations, and what they are to tell: E the external address, L the
# local one, for the client outside, in the LAN and of the hairpin.
my $local = "<Class lan>\nFrom $lan\n</Class>\nNATPasvLocal lan\n";
my $extip = sub { "ExtIPEngine on\nExtIPTable $_[0]{dir}/state/extip.tab\nExtIPOptions AllowReserved\nExtIPSource @{[$lab->http]}\n" };
my $pool = sub { "NATPasvEngine on\nNATPasvPool a $_[0]\nNATPasvRule * pool a share any\nMasqueradeAddress $outside\n" };
my @setups = (
  ['mod_natpasv', ['mod_natpasv'], sub { $pool->('61000-61099') }, router => 'E L E', service => 'L L L', proxy => 'E L E'],
  ['mod_natpasv, NATPasvLocal lan', ['mod_natpasv'], sub { $pool->('61100-61199') . $local }, router => 'E L E', service => 'E L E', proxy => 'E L E'],
  ['mod_extip alone', ['mod_extip'], sub { $extip->(@_) . "PassivePorts 61200 61299\n" }, router => 'E L E', service => 'L L L', proxy => 'E L E'],
  ['mod_extip alone, NATPasvLocal lan', ['mod_extip'], sub { $extip->(@_) . "PassivePorts 61300 61399\n$local" }, router => 'E L E', service => 'E L E', proxy => 'E L E'],
  # Nobody has said who is local: all are told what ProFTPD alone tells them.
  ['as it was, and NATPasvEngine on', ['mod_natpasv'], sub { "NATPasvEngine on\nPassivePorts 61400 61499\nMasqueradeAddress $outside\n" },
    router => 'E E E', service => 'E E E', proxy => 'E E E'],
);
my $down = join '', map { pack 'N', rand 2**32 } 1 .. 10_000;
my %server;
for my $n (0 .. $#setups) {
  my ($name, $modules, $config) = @{ $setups[$n] };
  $server{$name} = $lab->server(port => 2101 + $n, modules => ['mod_tls', @$modules],
    config => sub { Server::tls() . $config->(@_) . "LogFormat seen %a\nExtendedLog $_[0]{dir}/seen.log MISC seen\n" });
  $server{$name}->file('down', text => $down);
  next if $modules->[0] ne 'mod_extip';
  ok(Net::wait_for(sub { ($server{$name}->ctl('extip', 'status'))[1] =~ /\Q$outside\E/ }, 15), "$name: the external address is known");
}

# The fronts: rules of the router, and what the three clients look like.
sub rules {
  my ($in, $out) = @_;
  $lab->nft(<<"EOC");
flush ruleset
table ip nat {
  chain in {
    type nat hook prerouting priority dstnat
    $in
  }
  chain out {
    type nat hook postrouting priority srcnat
    oifname "wan0" masquerade
    $out
  }
}
EOC
  $lab->run(router => 'conntrack', '-F');
  return;
}
my $forward = "ip daddr $outside tcp dport { 2101-2105, 61000-61499 } dnat to $inside";
my @fronts = (
  ['router', sub { rules($forward, 'oifname "lan0" ip saddr 192.168.1.0/24 ct status dnat masquerade') }, $wan, $lan, $gateway],
  ['service', sub { rules($forward, "oifname \"lan0\" ct status dnat snat to $other") }, $other, $lan, $other],
  ['proxy', sub {
    rules('', '');
    NatLab::write_file("$dir/proxy.cfg", "listen all\n  mode tcp\n  bind $outside:2101-2105,$outside:61000-61499\n"
        . "  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  server ftp $inside\n");
    $lab->spawn(router => 'haproxy', '-db', '-f', "$dir/proxy.cfg");
    Net::wait_port($outside, 2101, $lab->ns('client'), 10) or die Server::slurp("$dir/router.log");
  }, $gateway, $lan, $gateway],
);
my @clients = (['outside', 'client', $outside], ['LAN', 'lan', $inside], ['hairpin', 'lan', $outside]);

# A transfer in each direction: what was told, and what went wrong.
sub transfers {
  my ($client, $epsv, $late) = @_;
  my ($told) = $epsv ? undef : $client->pasv;
  my ($code, $text, $bytes) = $client->retr('down', epsv => $epsv);
  return ($told, "download: $text") if $code != 226 || $bytes ne $down;
  return $told if $late && !$ENV{LONG};
  my ($stored, $said) = $client->stor("up-$$", $down, epsv => $epsv);
  return ($told, $stored == 226 ? undef : "upload: $said");
}

# For the table, from processes that run at the same time.
sub write_told {
  open my $file, '>>', "$dir/told" or die $!;
  syswrite $file, join("\t", @_) . "\n";
  return;
}

# One client of one server: EXPECTED is E or L. Who is told the address of the
# other side of the front cannot connect to it. Whose data connection comes from
# the front, unlike the control connection, is let in after five seconds, for
# which the test waits once.
sub visit {
  my ($name, $in_front, $who, $host, $address, $expected) = @_;
  my $late = $expected eq 'E' && $who eq 'LAN';
  my $works = $late ? $ENV{LONG} || $in_front eq 'router' : $expected eq 'E' || $who eq 'LAN';
  for my $tls (0, 1) {
    my $what = "$who, " . ($tls ? 'FTPS' : 'FTP');
    my $client = Client->connect($address, $server{$name}->port, netns => $lab->ns($host));
    $client->auth_tls if $tls;
    $client->login->cmd('TYPE I');
    for my $epsv (0, 1) {
      next if !$ENV{LONG} && $epsv == $tls;
      my ($told, $wrong) = $works || $epsv ? transfers($client, $epsv, $late) : $client->pasv;
      $wrong = undef if !$works && !$epsv;
      Scenarios::check(!defined $wrong, "$what, " . ($epsv ? 'EPSV' : 'PASV') . ($works || $epsv ? ': transfers' : ': is answered'), $wrong);
      next if $epsv;
      my $is = !defined $told ? $client->{last} : $told eq $outside ? 'E' : $told eq $inside ? 'L' : $told;
      Scenarios::check($is eq $expected, "$what: is told $expected", $is);
      write_told($in_front, $name, $who, $told // '-');
    }
    $client->quit;
  }
  return;
}

my @table;
for my $front (@fronts) {
  my ($in_front, $build, @seen) = @$front;
  $build->();
  my @scenarios;
  for my $setup (@setups) {
    my ($name, undef, undef, %expected) = @$setup;
    my @expected = split ' ', $expected{$in_front};
    push @scenarios, ["$in_front, $name", sub { visit($name, $in_front, @{ $clients[$_] }, $expected[$_]) for 0 .. $#clients }];
    push @table, map { [$in_front, $name, $clients[$_][0], $seen[$_]] } 0 .. $#clients;
  }
  Scenarios::run(scalar @scenarios, @scenarios);
  my %expected = map { $_ => 1 } @seen;
  for my $setup (@setups) {
    my $log = "$server{ $setup->[0] }{dir}/seen.log";
    my %is = map { $_ => 1 } Server::slurp($log) =~ /^(\S+)$/mg;
    is_deeply([sort keys %is], [sort keys %expected], "$in_front, $setup->[0]: clients look as they should");
    truncate $log, 0;
  }
}

my %told;
for my $line (split /\n/, Server::slurp("$dir/told")) {
  my ($in_front, $name, $who, $address) = split /\t/, $line;
  $told{"$in_front, $name, $who"}{$address} = 1;
}
my $print = $ENV{LONG} ? \&diag : \&note;
$print->(sprintf '%-8s %-34s %-8s %-14s %s', @$_)
  for ['front', 'server', 'client', 'seen as', 'told'], map { [@$_, join ' ', sort keys %{ $told{"$_->[0], $_->[1], $_->[2]"} }] } @table;

done_testing;
