# Which releases of TLS a source may speak, when the host's OpenSSL would let
# mod_extip speak all of them.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use File::Temp qw(tempdir);
use Janitor;
use Server;
use Test::More;

plan skip_all => 'a network namespace of its own needs root' unless Net::private();

my $dir = tempdir(CLEANUP => 1);
my $pem = Server::certificate($dir);
sub spill { my ($name, $text) = @_; open my $f, '>', "$dir/$name" or die $!; print $f $text; close $f or die $!; return "$dir/$name" }
spill('ip', "9.9.9.9\n");
$ENV{OPENSSL_CONF} = spill('openssl.cnf', <<'EOC');
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
EOC

my %port = (tls1 => 8440, tls1_1 => 8441, tls1_2 => 8442, tls1_3 => 8443);
for my $release (sort keys %port) {
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    chdir $dir;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', "$dir/$release";
    open STDERR, '>&', \*STDOUT;
    exec 'openssl', 's_server', '-accept', "127.0.0.1:$port{$release}", '-cert', $pem, "-$release", '-WWW' or POSIX::_exit(127);
  }
  Janitor::watch($pid, '/nowhere');
}
sub uri { return "https://127.0.0.1:$port{$_[0]}/ip" }

for my $release (sort keys %port) {
  ok(Net::wait_for(sub { `curl -s --tlsv1.0 --cacert $dir/crt @{[uri($release)]}` eq "9.9.9.9\n" }), "curl gets an answer over $release")
    or diag Server::slurp("$dir/$release");
}

my $words = join ' , ', map { uri($_) } sort keys %port;
my %said = map { m{:(\d+)/ip: (.*)} } `$Server::BUILD/tools/extip-round -t @{[1000 * Limits::of(1)]} -c $dir/crt $words`;
my %wanted = (tls1 => qr/^\[tls\] -/, tls1_1 => qr/^\[tls\] -/, tls1_2 => qr/^\[ok\] 9\.9\.9\.9/, tls1_3 => qr/^\[ok\] 9\.9\.9\.9/);
for my $release (sort keys %port) {
  my $taken = "$wanted{$release}" =~ /ok/ ? 'takes' : 'refuses';
  like($said{ $port{$release} } // 'nothing', $wanted{$release}, "mod_extip $taken $release");
}

done_testing;
