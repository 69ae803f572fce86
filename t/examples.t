# What an operator pastes: each example of the package, and the configuration in
# README.md, is loaded and used by a client. Names of servers and the addresses of
# the example's host are replaced by what this machine has.

use strict;
use warnings;
use Net 'private';
use BadRouter;
use Client;
use Nginx;
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my $outside = '9.9.9.9';
my @web = map { Nginx->start(host => "127.0.0.$_", port => 8080, answer => $outside) } 2 .. 4;
my @source = map { $_->uri } @web;
# Clients of the Internet, and the hosts of the examples.
system("ip addr add $_/32 dev lo") == 0 or die "no address $_"
  for '198.51.100.7', '192.168.1.10', '192.168.2.10', '10.8.0.1', '10.8.0.7', '192.0.2.10';

# The second pod of a StatefulSet; CLONE_NEWUTS: this host keeps its name.
syscall(Net::number('unshare'), 0x04000000) == 0 && system(qw(hostname ftp-1)) == 0 or die 'no host name of our own';
my $router = BadRouter->start(host => '127.0.0.5', other => '127.0.0.6', outside => $outside);

my $readme = Server::slurp('README.md');
my ($block) = grep { /\A\s*LoadModule/ } map { s/^ {4}//gmr } $readme =~ /^((?: {4}.*\n|\n)+)/mg;
ok($block, 'README.md has a configuration');

# Where the server listens (loaded: and no client is served), from where the client comes, what it is told: address
# and ports. "with": the example is used beside this one; "ready": what to wait for, if not for the address.
my %examples = (
  'README.md'      => {},
  'nat.conf'       => {},
  'ftps-only.conf' => { with => 'nat.conf', tls => 1 },
  'ec2-nlb.conf'   => { ports => [61000, 61039] },
  'two-uplinks.conf' => { loaded => 1 },    # a client of a virtual host: natpasv-replies.t
  'dynamic-dns.conf' => { with => 'nat.conf', extra => \&dns_followed },
  'router.conf' => { ports => [61000, 61029], ready => \&forwarded },
  'kubernetes.conf' => { told => '203.0.113.10', ports => [30010, 30019], ready => sub { 1 } },
  'container.conf' => { ports => [41000, 41009] },
  'vpn-partners.conf' => { bind => '10.8.0.1', from => '10.8.0.7', told => '10.8.0.1', ports => [61900, 61999] },
  'from-masqueradeaddress.conf' => {},
  'from-mod_dynmasq.conf' => {},
);
is_deeply([sort map { s{.*/}{}r } glob 'debian/examples/*'], [sort grep { /conf$/ } keys %examples], 'each example is tried');

# The example as this machine can have it.
sub adapt {
  my ($text, $dir) = @_;
  my @left = @source;
  $text =~ s{^Include /usr/share/.*}{}mg;
  $text =~ s{^LoadModule.*}{}mg;
  $text =~ s{^<IfModule !\w+\.c>\n.*\n</IfModule>}{}mg;
  $text =~ s{^ExtIPForward}{ExtIPGateway 127.0.0.5\n$&}m;
  $text =~ s{^(\s*ExtIPSource) +(?!natpmp)\S+}{"$1 " . (shift(@left) // $source[0])}gme;
  $text =~ s{^\s*Controls\w+ .*}{}mg;
  $text =~ s{^(\s*ExtIPTable) .*}{}mg;
  $text =~ s{/etc/ssl/(?:certs|private)/ftp\.\w+}{$dir/ftp.pem}g;
  $text =~ s{^(\s*TLSLog) .*}{$1 none}m;
  $text =~ s{/usr/local/sbin/update-dns}{$dir/update-dns};
  $text =~ s{<VirtualHost (\S+)>}{<VirtualHost $1>\nPort @{[$_[2]]}}g;
  return "$text\nExtIPTable none\n";
}

sub text { my ($name) = @_; return $name eq 'README.md' ? $block : Server::slurp("debian/examples/$name") }

# The control port and all of the pool.
sub forwarded { return ($_[0]->ctl(qw(extip forwards)))[1] =~ /^31 of 31 ports are forwarded$/m }
sub known { return ($_[0]->ctl('extip', 'status'))[1] =~ /^  address     \Q$outside\E$/m }

# mod_exec has run the program with the address.
sub dns_followed {
  my ($server) = @_;
  my $file = "$server->{dir}/state/dns";
  ok(Net::wait_for(sub { Server::slurp($file) eq "$outside\n" }, 10), '... and the name follows the address') or diag Server::slurp($file);
}

for my $name (sort keys %examples) {
  my %example = (bind => '192.0.2.10', from => '198.51.100.7', told => $outside, ports => [61000, 61999], %{ $examples{$name} });
  my $text = join "\n", map { text($_) } grep { $_ } $example{with}, $name;
  my @modules = map { "mod_$_" } qw(extip natpasv keepalive), $text =~ /LoadModule mod_(tls|exec)\.c/g;
 SKIP: {
    my @missing = grep { !$Server::OURS{$_} && !Server::has_module($_) } @modules;
    skip "@missing missing", 1 if @missing;
    my $server = eval { Server->start(modules => \@modules, bind => $example{bind}, config => sub {
      my ($self) = @_;
      system('cp', Server::certificate(), "$self->{dir}/ftp.pem");
      $self->write_file('update-dns', "#!/bin/sh\necho \"\$EXTIP_ADDRESS\" > $self->{dir}/state/dns\n", 0755);
      chmod 0777, "$self->{dir}/state";
      return adapt($text, $self->{dir}, $self->port);
    }) };
    ok($server, "$name: the server starts") or diag($@), next;
    my $ready = $example{ready} // \&known;
    ok(Net::wait_for(sub { $ready->($server) }, 15), '... and knows what it needs')
      or diag $server->log;
    next if $example{loaded};
    my $client = Client->connect($example{bind}, $server->port, from => $example{from});
    $client->auth_tls if $example{tls};
    $client->login;
    my ($address, $port) = $client->pasv;
    is($address, $example{told}, '... a client is told the address');
    ok($port >= $example{ports}[0] && $port <= $example{ports}[1], "... and a port of the pool, $port");
    $server->file('down', text => 'all well');
    if ($name ne 'container.conf') {    # its ports are forwarded by nobody here
      my ($code, $reply) = $client->retr('down', epsv => 1);
      is($code, 226, '... and has its file') or diag $reply;
    }
    ok(!grep({ !/ephemeral/ } $server->log =~ /^.*mod_(?:extip|natpasv|keepalive)\S* (?:error|warning): .*/mg), '... and nothing is wrong')
      or diag grep { /warning|error/ } split /^/m, $server->log;
    $example{extra}->($server) if $example{extra};
    $client->close;    # a session that is left listens where the next server would
    my @left = $server->stop;
    ok(Net::wait_for(sub { !grep { kill 0, $_ } @left }, 10), '... and all of it ends');
  }
}

# README.md and nat.conf are the same but for how the modules are loaded.
my $plain = sub { my %d; $d{$_}++ for map { s/\s+/ /gr } grep { !/^(?:LoadModule|Include|Controls|<|$)/ } map { s/\s*#.*|^\s+|\s+$//gr } split /\n/, $_[0]; return [sort keys %d] };
is_deeply($plain->($block), $plain->(text('nat.conf')), 'README.md and nat.conf have the same directives');

# Each command names files and options that there are.
like(Server::slurp('debian/control'), qr/^Build-Depends:.*\b\Q$_\E\b/m, "README.md and debian/control: $_")
  for grep { /-dev$/ } map { split ' ' } $readme =~ /apt-get install (build-essential .*)/;
ok(-e "debian/examples/$_", "README.md: $_ is an example") for $readme =~ /\b(nat\.conf|ftps-only\.conf) /g;
ok(-e "debian/monitoring/$_", "README.md: $_ is there") for $readme =~ /`(alerts\.yml|dashboard\.json)`/g;

done_testing;
