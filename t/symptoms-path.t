# The symptoms of troubleshooting.html that a path makes which forgets or loses a
# control connection.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Client;
use NatLab;
use POSIX ();
use Server;
use Symptoms;
use Test::More;

if (my $reason = NatLab::unavailable() // Server::unavailable()) {
  plan skip_all => $reason;
}

my $lab = NatLab->new(forget => 4, ports => '2101-2102, 60000-60039');

# A download that lasts, by a daemon of its own.
my $rate = 50_000;
sub download {
  my ($number, $rule) = @_;
  my $server = $lab->server(modules => ['mod_keepalive'], port => 2101 + $number, config => <<"EOC");
KeepaliveEngine on
$rule
MasqueradeAddress @{[$lab->external]}
PassivePorts @{[60000 + 20 * $number]} @{[60019 + 20 * $number]}
TransferRate RETR @{[$rate / 1024]}
EOC
  $server->file('long', size => 100 * $rate);
  my $client = Client->connect($lab->external, $server->port, netns => $lab->ns('client'))->login;
  $client->cmd('TYPE I');
  my $data = $client->data($client->pasv);
  is(($client->cmd('RETR long'))[0], 150, 'a download begins');
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    1 while sysread $data, my $bytes, 1 << 16;
    POSIX::_exit(0);
  }
  return { server => $server, client => $client, data => $data, pid => $pid };
}

# No deadline is configured, and the interval is the default.
my $forgotten = download(0, '');
my $gone = download(1, 'KeepaliveRule * interval 1s deadline 3s');
$lab->nft("table ip cut {\n chain forward {\n type filter hook forward priority -10; policy accept;\n"
  . join('', map { " tcp sport $_ drop\n tcp dport $_ drop\n" } map { $_->sockport } $gone->{client}{socket}, $gone->{data}) . " }\n}\n");

symptom('Gone', Log => sub { $gone->{server}->log });
symptom('Forgets', Log => sub { $forgotten->{server}->log });
for ($forgotten, $gone) { kill 'KILL', $_->{pid}; waitpid $_->{pid}, 0 }

done_testing;
