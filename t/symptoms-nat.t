# The symptoms of troubleshooting.html that need a router: each is provoked in the
# laboratory, and the default log, or ftpdctl extip check with a real TURN server
# outside, has the line that the page quotes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use IO::Socket::INET;
use NatLab;
use Server;
use Symptoms;
use Test::More;

if (my $reason = NatLab::unavailable() // Server::unavailable()) {
  plan skip_all => $reason;
}

my $lab = NatLab->new(ports => '61000-61007')->internet;
my $dir = $lab->dir;
NatLab::write_file("$dir/turn", "joe:secret\n");
chmod 0600, "$dir/turn";
$lab->spawn(inet => 'turnserver', '-n', '--no-cli', '--no-tls', '--no-dtls', '--no-udp', '--pidfile', "$dir/turn2.pid",
  '--log-file', 'stdout', '-L', '198.51.100.3', '-p', '3480', '--lt-cred-mech', '--user', 'joe:secret', '--realm', 'turn.example');
NatLab::write_file("$dir/wrong.conf", <<"EOC");
daemon off; worker_processes 1; pid $dir/wrong.pid; user root;
events { worker_connections 64; }
http { access_log off; server { listen 81; location / { return 200 198.51.100.99; } } }
EOC
$lab->spawn(inet => 'nginx', '-c', "$dir/wrong.conf", '-e', "$dir/wrong.log");
Net::wait_port('198.51.100.3', $_, $lab->ns('inet'), 20) or die "nothing listens on port $_ of inet" for 3480, 81;

# LAN clients have a class, because a line comes once a minute for each.
sub config {
  my (%change) = (probe => "ExtIPProbe turn:198.51.100.3:3480 credentials $dir/turn\n", pool => '61000-61007',
    source => 'stun:198.51.100.2', @_);
  return <<"EOC";
<Class lan>
From 192.168.1.0/24
</Class>
ExtIPEngine on
ExtIPSource $change{source}
ExtIPOptions AllowReserved
ExtIPTimeout 2s
ExtIPTable none
$change{probe}NATPasvEngine on
NATPasvPool public $change{pool}
NATPasvRule lan pool public
NATPasvRule * pool public
EOC
}

my $server = $lab->server(modules => [qw(mod_extip mod_natpasv)], config => config());
$server->file('down', text => 'all well');
sub known {
  my ($address) = @_;
  return Net::wait_for(sub { ($server->ctl(qw(extip status)))[1] =~ /^  address     \Q$address\E$/m }, 15);
}
ok(known('198.51.100.7'), 'the address is known');

# Loads a configuration, which also forgets when the last check was.
sub reload {
  my (%change) = @_;
  my $before = length $server->log;
  $server->reconfigure(config(%change));
  $server->hup;
  ok(Net::wait_for(sub { substr($server->log, $before) =~ /mod_extip\S+ in force for 1 of 1 servers: .* knows \d/ }, 10), 'a reload') or diag $server->log;
}

sub forward {
  my ($ports, $control) = @_;
  @$lab{qw(ports control)} = ($ports, $control // 21);
  $lab->firewall;
}

# A client asks for a file, does not get through, and leaves.
sub hangs {
  my ($host, $address) = @_;
  my $client = Client->connect($address, 21, netns => $lab->ns($host))->login;
  my ($to, $port) = $client->pasv;
  $client->send('RETR down');
  ok(!$client->data($to, $port, 0.3), "a client on $host does not reach its port");
  $client->close;
}

sub check { return ($server->ctl(qw(extip check)))[1] }
my $default_log = sub { $server->log };

# What is the matter, and the symptom.
forward('65000');
hangs(client => $lab->external);
symptom('Hangs', Log => $default_log, 'ftpdctl extip check' => check());

forward('61000-61003');
reload();
symptom('HangsSometimes', 'ftpdctl extip check' => check());

forward('61000-61007');
$lab->must(server => 'nft', 'add table ip f; add chain ip f in { type filter hook input priority 0; }; add rule ip f in tcp dport 61000-61007 reject with tcp reset');
hangs(lan => '192.168.1.10');
symptom('FirewallLAN', Log => $default_log);
reload();
symptom('Firewall', 'ftpdctl extip check' => check());
$lab->must(server => 'nft', 'flush', 'ruleset');

reload(source => 'http://198.51.100.2:81/');
ok(known('198.51.100.99'), 'a source is mistaken');
symptom('WrongAddress', 'ftpdctl extip check' => check());

forward('65000', 65001);
reload();
ok(known('198.51.100.7'), 'the source is right again');
symptom('Unreachable', 'ftpdctl extip check' => check());
forward('61000-61007');

{
  my $other = Net::in($lab->ns('server'), sub { IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 40000, Listen => 1) }) or die $!;
  reload(pool => '40000-40007');
  my $said = check();
  symptom('PortTaken', Log => $default_log, 'ftpdctl extip check' => $said);
  symptom('Ephemeral', Log => $default_log, 'ftpdctl extip check' => $said);
}

reload(probe => '');
symptom('NoProbe', 'ftpdctl extip check' => check());

done_testing;
