# Real clients that believe the address of the 227 reply, through the NAT, on
# FTP and FTPS, by PASV and by EPSV: a download, an upload, the same bytes.

use strict;
use warnings;
use File::Temp qw(tempdir);
use NatLab;
use Server;
use Stock;
use Test::More;

if (my $reason = NatLab::unavailable() // Server::unavailable()) {
  plan skip_all => $reason;
}

my $lab = NatLab->new(ports => '60000-60019')->internet;
my $server = $lab->server(
  modules => [qw(mod_tls mod_extip mod_natpasv mod_keepalive)],
  config  => sub {
    my ($s) = @_;
    return Server::tls() . <<"EOC";
ExtIPEngine on
ExtIPTable $s->{dir}/state/extip.tab
ExtIPSource @{[$lab->stun]}
ExtIPSource @{[$lab->http]}
ExtIPQuorum 2
ExtIPOptions AllowReserved
NATPasvEngine on
NATPasvTable $s->{dir}/run/natpasv.tab
NATPasvPool public 60000-60019
NATPasvRule * pool public
KeepaliveEngine on
KeepaliveRule * interval 1s
ExtendedLog $s->{dir}/commands MISC,READ,WRITE replies
LogFormat replies "%m %s %S"
EOC
  },
);
my $known = Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /\Q@{[$lab->external]}\E/ }, 15);
ok($known, 'the address is discovered through the NAT') or diag $server->log, ($server->ctl('extip', 'status'))[1];

my $bytes = join '', map { pack 'N', $_ } 1 .. 50_000;
$server->file('down', text => $bytes);
my $work = tempdir(CLEANUP => 1);
NatLab::write_file("$work/up", $bytes);
my ($host, $dir) = ($lab->external, $work);

my $ftplib = <<'EOP';
import ftplib, socket, ssl, sys
host, tls, epsv, down, up, stored = sys.argv[1:]
if tls == '1':
    ftp = ftplib.FTP_TLS(context=ssl._create_unverified_context())
else:
    ftp = ftplib.FTP()
ftp.trust_server_pasv_ipv4_address = True
ftp.connect(host, 21, 10)
ftp.login('ftp', 'ftp')
if tls == '1':
    ftp.prot_p()
if epsv == '1':
    ftp.af = socket.AF_INET6   # what makes ftplib choose EPSV
ftp.retrbinary('RETR down', open(down, 'wb').write)
ftp.storbinary('STOR ' + stored, open(up, 'rb'))
ftp.quit()
EOP
my $net_ftp = <<'EOP';
use Net::FTP;
my ($host, $tls, undef, $down, $up, $stored) = @ARGV;
# TLS 1.2: Net::FTP closes an upload without reading the session tickets of
# TLS 1.3, and the reset then aborts every other one, on stock ProFTPD too.
my $ftp = Net::FTP->new($host, Timeout => 60, Passive => 1, SSL_verify_mode => 0, SSL_version => 'TLSv1_2') or die $@;
$tls and $ftp->starttls || die $ftp->message;
$ftp->login('ftp', 'ftp') && $ftp->binary && $ftp->get('down', $down) && $ftp->put($up, $stored) or die $ftp->message;
$ftp->quit;
EOP
NatLab::write_file("$work/download.py", $ftplib);
NatLab::write_file("$work/download.pl", $net_ftp);

# name => the command for (tls, epsv, file to make, file to send, stored name)
my %client = (
  curl => sub {
    my ($tls, $epsv, $down, $up, $stored) = @_;
    my @common = ('curl', '-sS', '-m', 20, '-u', 'ftp:ftp', '--no-ftp-skip-pasv-ip',
      ($epsv ? () : '--disable-epsv'), ($tls ? ('--ssl-reqd', '-k') : ()));
    return ('sh', '-c', join ' && ', map { join ' ', @common, $_ }
      "-o $down ftp://$host/down", "-T $up ftp://$host/$stored");
  },
  lftp => sub {
    my ($tls, $epsv, $down, $up, $stored) = @_;
    return ('lftp', '-c', join '; ', 'set net:max-retries 1; set net:timeout 60; set ssl:verify-certificate no',
      'set ftp:fix-pasv-address no', 'set ftp:prefer-epsv ' . ($epsv ? 'yes' : 'no'),
      'set ftp:ssl-force ' . ($tls ? 'yes' : 'no'), 'set ftp:ssl-allow ' . ($tls ? 'yes' : 'no'),
      "set ftp:ssl-protect-data yes; open -u ftp,ftp $host && get down -o $down && put $up -o $stored");
  },
  ftplib => sub { my ($tls, $epsv, @rest) = @_; return ('python3', "$work/download.py", $host, $tls, $epsv, @rest) },
  'Net::FTP' => sub { my ($tls, $epsv, @rest) = @_; return ('perl', "$work/download.pl", $host, $tls, $epsv, @rest) },
);

# Net::FTP speaks EPSV only over IPv6.
# Net::FTP has no session ticket for its data connections.
my $crashes = Stock::crashes_without_ticket()
  ? "mod_tls of this release crashes at an upload by TLS 1.2 without a session ticket, also without our modules (ProFTPD's issue 1063)" : '';
my @cases = map { my $name = $_; map { my $tls = $_; map { [$name, $tls, $_] } $name eq 'Net::FTP' ? (0) : (0, 1) } 0, 1 }
  sort keys %client;

my %said;
my @running;
for my $case (@cases) {
  my ($name, $tls, $epsv) = @$case;
  my $file = join('-', $name, $tls, $epsv) =~ s/://gr;
  open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', Net::prefix($lab->ns('client')),
    $client{$name}->($tls, $epsv, "$dir/$file", "$dir/up", $file) or die $!;
  push @running, [$case, $file, $out];
}
for (@running) {
  my ($case, $file, $out) = @$_;
  my ($name, $tls, $epsv) = @$case;
  my $said = do { local $/; readline $out } // '';
  close $out;
  my $title = sprintf '%s, %s, %s', $name, $tls ? 'FTPS' : 'FTP', $epsv ? 'EPSV' : 'PASV';
  my $status = $? >> 8;
  ok(Server::slurp("$dir/$file") eq $bytes, "$title: downloads what is there");
  SKIP: {
    skip $crashes, 2 if $crashes and $name eq 'Net::FTP' and $tls;
    ok(Server::slurp($server->home . "/$file") eq $bytes, "$title: uploads what it has");
    is($status, 0, "$title: ends well") or diag $said;
  }
}

my @replies = grep { /^(PASV|EPSV) 22[79]/ } split /\n/, Server::slurp("$server->{dir}/commands");
is(scalar(grep { /^PASV/ } @replies), 16, 'half of the transfers were by PASV');
is(scalar(grep { /^EPSV/ } @replies), 12, 'the others by EPSV');
my $external = $lab->external =~ tr/./,/r;
is(scalar(grep { /^PASV/ && !/\(\Q$external\E,/ } @replies), 0, 'every 227 carries the discovered address');
my @ports = map { /\|\|\|(\d+)\|/ ? $1 : /,(\d+),(\d+)\)/ ? $1 * 256 + $2 : 0 } @replies;
is(scalar(grep { $_ < 60000 || $_ > 60019 } @ports), 0, 'every port is of the pool');

done_testing;
