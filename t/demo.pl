# The demonstration that t/demo runs: the same clients and the same transfers
# on stock ProFTPD and with the three modules, through a real NAT.  Every step
# says what should be seen; the exit status says whether all of it was.

use strict;
use warnings;
use Client;
use NatLab;
use Router;
use Server;
use Time::HiRes qw(sleep time);

$| = 1;
my $keep    = grep { $_ eq '--keep' } @ARGV;
my $started = time;
my $failed  = 0;

if (grep { $_ eq '--remove' } @ARGV) {
  NatLab::remove('natdemo');
  exit 0;
}
if (my $reason = NatLab::unavailable() // Server::unavailable()) {
  die "t/demo: $reason\n";
}

sub heading { print "\n", $_[0], "\n", '-' x length $_[0], "\n" }
sub note { print "  $_\n" for map { split /\n/ } @_ }

sub seen {
  my ($true, $sentence) = @_;
  printf "  %s %s\n", $true ? '[ok]  ' : '[FAIL]', $sentence;
  $failed++ unless $true;
  return $true;
}

# An FTPS download by curl that believes the address of the 227 reply.
# Returns (exit status, 227 line, seconds).
sub download {
  my ($lab, $from, $url, %opt) = @_;
  my @curl = ('curl', '--silent', '--verbose', '--ssl-reqd', '--insecure', '--user', 'ftp:ftp',
    '--disable-epsv', '--no-ftp-skip-pasv-ip', '--connect-timeout', 3, '--fail-early', '--max-time', $opt{limit} // 10,
    '--write-out', '%{size_download} bytes\n',
    map({ ('--output', '/dev/null', $_) } $url, @{ $opt{then} // [] }));
  note('$ curl --ssl-reqd --disable-epsv --no-ftp-skip-pasv-ip ' . join ' ', $url, @{ $opt{then} // [] })
    unless $opt{quiet};
  my $begin  = time;
  my $said   = $lab->run($from, @curl);
  my $status = $? >> 8;
  my ($reply) = $said =~ /^< (227 .*?)\r?$/m;
  note("< $reply") if $reply and !$opt{quiet};
  return ($status, $reply // '', time - $begin, $said);
}

sub announced { my ($reply) = @_; return join '.', $reply =~ /\((\d+),(\d+),(\d+),(\d+),/ }
sub port { my ($reply) = @_; return $reply =~ /,(\d+),(\d+)\)/ ? $1 * 256 + $2 : 0 }

my $lab = NatLab->new(forget => 4, ports => '2121, 60000-60099', keep => $keep ? 'natdemo' : undef);
$lab->internet;
my $old = $lab->external;
my $new = '198.51.100.77';

print <<'EOT';
An FTPS server behind a NAT router, before and after.

  client 198.51.100.50 ---+                                +--- server 192.168.1.10
                          |  198.51.100.7    192.168.1.1   |
  STUN, HTTP .2, .3 ------+------------ router ------------+--- lan    192.168.1.20
                                           |
  branch 203.0.113.50 ---------------------+  a line of its own, without NAT

  The router masquerades, forwards ports 21, 2121 and 60000-60099 to the server,
  and forgets connections that were idle for 4 seconds.
EOT

# Both servers serve the same files; TransferRate makes a download take 12 s.
my $common = Server::tls(dir => $lab->dir) . "TransferRate RETR 100\nTimeoutLinger 1\n";
my $nat = <<'EOC' . $common;
ExtIPEngine on
ExtIPSource stun:stun.example
ExtIPSource http://ip2.example/
ExtIPQuorum 2
ExtIPRefresh 5s 1s
ExtIPTimeout 2s
# 198.51.100.0/24 is reserved for documentation; on the Internet this is not needed.
ExtIPOptions AllowReserved
NATPasvEngine on
NATPasvPool public 60000-60079
NATPasvRule * pool public
EOC

sub files {
  my ($server) = @_;
  $server->file('short', size => 20_000);
  $server->file('long',  size => 1_200_000);
  return $server;
}

sub table { my ($server) = @_; return "ExtIPTable $server->{dir}/state/extip.tab\nNATPasvTable $server->{dir}/run/natpasv.tab\n" }

heading('a. Stock ProFTPD: the 227 reply carries a private address');
{
  my $stock = files($lab->server(port => 2121, modules => ['mod_tls'], config => "PassivePorts 60000 60079\n$common"));
  my ($status, $reply) = download($lab, 'client', "ftp://$old:2121/short");
  seen($status != 0 && announced($reply) eq '192.168.1.10',
    'the transfer fails: nobody on the Internet reaches 192.168.1.10, and the router cannot repair what TLS hides');
}

heading('b. With the modules: the same client, the same transfer');
my $server = files($lab->server(
  modules => ['mod_tls', 'mod_extip', 'mod_natpasv', 'mod_keepalive'],
  ($keep ? (keep => $lab->dir . '/server') : ()),
  config  => sub { table($_[0]) . $nat . "KeepaliveEngine on\nKeepaliveRule * interval 1s\n" },
));
Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /\Q$old\E/ }, 10);
note('$ ftpdctl extip status', ($server->ctl('extip', 'status'))[1]);
{
  my ($status, $reply) = download($lab, 'client', "ftp://$old/short");
  seen($status == 0, 'the transfer works');
  seen(announced($reply) eq $old, "announced: $old, as the STUN and the HTTP source saw this server");
  seen(port($reply) >= 60000 && port($reply) <= 60079, 'port ' . port($reply) . ' is of pool "public" (60000-60079)');
  note('$ ftpdctl natpasv status', ($server->ctl('natpasv', 'status'))[1]);
}

heading('c. A client in the same LAN');
{
  my ($status, $reply) = download($lab, 'lan', 'ftp://192.168.1.10/short');
  seen($status == 0 && announced($reply) eq '192.168.1.10', 'is given the local address, and the transfer works');
}

heading('d. Overnight the provider assigns another address');
{
  my $session = Client->connect('192.168.1.10', 21, netns => $lab->ns('branch'))->auth_tls->login;
  my ($before) = $session->pasv;
  note("a session from 203.0.113.50 logged in; PASV announces $before");
  $lab->change_address($new);
  my $changed = time;
  my $address = Net::wait_for(sub { my ($a) = $session->pasv; $a && $a ne $old && $a }, 12) // 'nothing new';
  my $seconds = time - $changed;
  seen($before eq $old && $address eq $new,
    sprintf 'the router is now %s; the same session announces %s after %.1f s (ExtIPRefresh 5s)', $new, $address, $seconds);
  $session->quit;
  my ($status, $reply) = download($lab, 'client', "ftp://$new/short");
  seen($status == 0 && announced($reply) eq $new, 'a new client at the new address works');
}

heading('e. The router forgets idle connections after 4 s, a download takes 12 s');
{
  my $without = files($lab->server(
    port => 2121, modules => ['mod_tls', 'mod_extip', 'mod_natpasv'],
    config => sub { table($_[0]) . ($nat =~ s/60000-60079/60080-60099/r) },
  ));
  Net::wait_for(sub { ($without->ctl('extip', 'status'))[1] =~ /\Q$new\E/ }, 10);
  my %url = (without => "ftp://$new:2121", with => "ftp://$new");
  note("\$ curl ... $url{without}/long $url{without}/short     (mod_keepalive not loaded)",
    "\$ curl ... $url{with}/long $url{with}/short          (mod_keepalive, interval 1s)");
  my %result;
  my %pipe;
  for my $which (keys %url) {    # both at the same time
    open $pipe{$which}, '-|', or do {
      my ($status, undef, $seconds, $said) = download($lab, 'client', "$url{$which}/long",
        then => ["$url{$which}/short"], limit => 20, quiet => 1);
      my $done = () = $said =~ /^< 226 /mg;
      my ($bytes) = $said =~ /^(\d+) bytes$/m;
      printf "%d %.1f %d %d\n%s", $status, $seconds, $done, $bytes // 0, join '', $said =~ /^(?:[<>]|\* (?!TLS)).*\n/mg;
      CORE::exit(0);
    };
  }
  for (keys %url) {
    $result{$_} = [split ' ', readline $pipe{$_}];
    push @{ $result{$_} }, do { local $/; readline $pipe{$_} };
  }
  my ($status, $seconds, $done, $bytes) = @{ $result{without} };
  seen($status == 28 && $done == 0 && $bytes == 1_200_000,
    sprintf 'without: all 1,200,000 bytes arrive, the 226 never does; the client gave up after %.0f s', $seconds)
    or note($result{without}[4]);
  ($status, $seconds, $done) = @{ $result{with} };
  seen($status == 0 && $done == 2,
    sprintf 'with: 226 after the last byte, and a second transfer on the same connection (%.0f s in all)', $seconds)
    or note($result{with}[4]);
  note('$ ftpdctl keepalive status', ($server->ctl('keepalive', 'status'))[1]);
}

heading('f. A router that forwards nothing, until it is asked');
{
  my $home = Router->new;
  my $url  = 'ftp://' . $home->external . '/short';
  my %files = (modules => ['mod_tls'], config => "PassivePorts 61000 61009\n$common");
  my $stock = files($home->server(%files));
  my ($status) = download($home, 'client', $url, limit => 3);
  seen($status != 0, 'before: nobody outside reaches the server (' . $home->external . ' is the router)');
  $stock->stop;

  my $began = time;
  my $asking = files($home->server(
    modules => ['mod_tls', 'mod_extip', 'mod_natpasv'],
    config  => sub { table($_[0]) . <<'EOC' . $common },
ExtIPEngine on
ExtIPSource natpmp:
ExtIPForward control passive
NATPasvEngine on
NATPasvPool public 61000-61009
NATPasvRule * pool public
EOC
  ));
  my $reply = Net::wait_for(sub {
    my ($status, $reply) = download($home, 'client', $url, limit => 3, quiet => 1);
    return $status == 0 && $reply;
  }, 10) // '';
  note("< $reply");
  seen(announced($reply) eq $home->external && port($reply) >= 61000,
    sprintf 'after: ExtIPForward control passive; the transfer works %.1f s after the start', time - $began);
  note('$ ftpdctl extip forwards', ($asking->ctl('extip', 'forwards'))[1]);
  $asking->stop;
  my @left = $home->rules;
  seen(@left == 0, 'and when the daemon has ended, the router forwards nothing again');
}

printf "\n%s in %.0f s\n", $failed ? "$failed of the steps are not as they should be" : 'All as it should be', time - $started;
if ($keep) {
  print "\nThe laboratory stays up. Its hosts:\n", $lab->howto,
    "Its server's configuration: ", $server->conf, "\nTo remove it: t/demo --remove\n";
  $server->abandon;
}
exit($failed ? 1 : 0);
