# Two nodes behind HAProxy, each with its slice of the ports. HAProxy has what
# the nodes export and nothing else. curl and lftp, PASV and EPSV, FTP and FTPS;
# then one node stops.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(make_path);
use NatLab;
use RealClients;
use Seed;
use Server;
use Test::More;

my $why = NatLab::unavailable() // Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'mod_tls (Debian package proftpd-mod-crypto) is missing' unless Server::has_module('mod_tls');
for my $tool (qw(haproxy curl lftp)) {
  plan skip_all => "$tool is missing" unless grep { -x "$_/$tool" } qw(/usr/sbin /usr/bin);
}

my $each = $ENV{LONG} ? 25 : 3;    # transfers in a session, of eight sessions
my $lab = NatLab->new;
$lab->nft("flush ruleset\n");    # all that reaches the nodes comes through HAProxy
my $dir = $lab->dir;
my $outside = $lab->external;
my $down = join '', map { pack 'N', rand 2**32 } 1 .. 20_000;

my %slice = (1 => [61000, 61009], 2 => [61010, 61019]);
my %node = map {
  my ($number, $host, $address) = @$_;
  my $server = Server->start(bind => $address, port => 21, netns => $lab->ns($host), modules => ['mod_tls', 'mod_natpasv'], env => { NODE => $number },
    config => sub { Server::tls() . <<"EOC" });
NATPasvEngine on
NATPasvLocal none
MasqueradeAddress $outside
NATPasvPool public 61000-61019 slice %{env:NODE}/2
NATPasvRule * pool public share any
LogFormat passive "%{note:mod_natpasv.port}"
ExtendedLog $_[0]{dir}/passive.log MISC passive
EOC
  $server->file('down', text => $down);
  $number => $server;
} [1, 'server', '192.168.1.10'], [2, 'lan', '192.168.1.20'];

# The lines of the other node, with its address as it exports that itself.
my %export = map { $_ => ($node{$_}->ctl('natpasv', 'export', 'haproxy'))[1] } 1, 2;
sub completed {
  my ($own, $other) = @_;
  my ($address) = $export{$other} =~ /^  server node$other (\S+):21 /m or die $export{$other};
  return $export{$own} =~ s/^#(?=\S|  )//mgr =~ s/\bNODE$other\b/$address/gr;
}
is(completed(1, 2) =~ s/^# .*\n//mgr, completed(2, 1) =~ s/^# .*\n//mgr, 'completed, the exports of both nodes are the same');
NatLab::write_file("$dir/haproxy.cfg", completed(1, 2));
$lab->spawn(router => 'haproxy', '-db', '-f', "$dir/haproxy.cfg");
Net::wait_port($outside, 21, $lab->ns('client'), 10) or die Server::slurp("$dir/router.log");

# Both clients believe the address that they are told.
# curl uploads with TLS 1.2: with 1.3 it closes a data connection without having
# read the server's tickets, the reset that follows overtakes the end of the file in
# a proxy that ends TCP, and the answer is 426 now and then.
sub script {
  my ($name, $command, $tls, $uploads) = @_;
  my @get = 1 .. $each - $uploads;
  my @put = 1 .. $uploads;
  if ($name eq 'curl') {
    my $options = '-v -sS -u ftp:ftp --no-ftp-skip-pasv-ip ' . ($tls ? '--ssl-reqd -k --tls-max 1.2 ' : '') . ($command eq 'PASV' ? '--disable-epsv ' : '');
    return join ' ', "exec curl --fail-early $options", (map { "-o down.$_ ftp://$outside/down" } @get), map { "--next $options -T up ftp://$outside/up-\$\$-$_" } @put;
  }
  return "exec lftp -d -e 'set ftp:ssl-force " . ($tls ? 'yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no' : 'no; set ftp:ssl-allow no')
    . '; set ftp:fix-pasv-address no; set ftp:prefer-epsv ' . ($command eq 'EPSV' ? 'yes' : 'no')
    . '; set net:max-retries 1; set net:timeout 20; set cmd:fail-exit yes; '
    . join('', (map { "get down -o down.$_; " } @get), (map { "put up -o up-'\$\$'-$_; " } @put)) . "quit' -u ftp,ftp ftp://$outside";
}

# All sessions at the same time, over both nodes. Returns how many transfers
# went well.
sub sessions {
  my ($round, @which) = @_;
  my $uploads = int $each / 3;
  my (@jobs, %home);
  for my $row (@which) {
    my ($name, $command, $tls) = @$row;
    my $job = join '-', $round, $name, $command, $tls ? 'FTPS' : 'FTP';
    make_path($home{$job} = "$dir/$job");
    NatLab::write_file("$home{$job}/up", "up $job " x 5000);
    push @jobs, [$job, $lab->ns('client'), $home{$job}, script($name, $command, $tls, $uploads)];
  }
  my %result = RealClients::together(60 + 5 * $each, @jobs);
  my %stored;
  $stored{ Server::slurp($_) }++ for map { glob $_->home . '/up-*' } values %node;
  my $well = 0;
  for my $job (sort keys %home) {
    my $whole = grep { Server::slurp("$home{$job}/down.$_") eq $down } 1 .. $each - $uploads;
    my $up = $stored{ Server::slurp("$home{$job}/up") } // 0;
    diag("$job: $whole downloads, $up uploads\n$result{$job}{said}") if $result{$job}{status} || $whole + $up != $each;
    $well += $whole + $up;
  }
  return $well;
}
my @all = map { my $name = $_; map { my $command = $_; map { [$name, $command, $_] } 0, 1 } 'PASV', 'EPSV' } 'curl', 'lftp';
is(sessions('both', @all), @all * $each, @all * $each . ' transfers by curl and lftp, PASV and EPSV, FTP and FTPS');

sub used { my %seen; return grep { !$seen{$_}++ } Server::slurp("$node{$_[0]}{dir}/passive.log") =~ /^(\d+)$/mg }
sub granted { return $node{$_[0]}->ctl_json('natpasv', 'status')->{pools}[0]{granted} }
my %granted;
for my $number (1, 2) {
  my ($first, $last) = @{ $slice{$number} };
  my @used = used($number);
  cmp_ok(scalar @used, '>=', 3, "node $number: has used " . @used . ' ports');
  is_deeply([grep { $_ < $first || $_ > $last } @used], [], '... of its slice alone');
  $granted{$number} = granted($number);
}
is($granted{1} + $granted{2}, @all * $each, 'each transfer had one port of one node');

# One node stops.
$node{1}->stop;
my @after = ([qw(curl PASV 1)], [qw(curl EPSV 0)], [qw(lftp PASV 0)], [qw(lftp EPSV 1)]);
is(sessions('one', @after), @after * $each, 'node 1 has stopped: new sessions transfer all the same');
is(granted(2) - $granted{2}, @after * $each, '... with ports of node 2');

done_testing;
