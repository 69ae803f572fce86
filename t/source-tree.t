# Each module directory builds inside a ProFTPD source tree, static and shared,
# and the daemon that comes out serves. Long: it builds ProFTPD twice, from the
# sources of the Debian package that is installed, or from $PROFTPD_SOURCE.

use strict;
use warnings;
use Cwd qw(getcwd);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Net;
use Client;
use Server;
use Test::More;

plan skip_all => 'builds ProFTPD twice: t/check --long' unless $ENV{LONG} or $ENV{PROFTPD_SOURCE};
plan skip_all => 'the same with the sanitizers: the plain build shows it' if $ENV{SANITIZE};
if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my $top = getcwd;
my $dir = tempdir('proftpd-source-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my @ours = qw(mod_extip mod_natpasv mod_keepalive);

sub sh { my ($command) = @_; my $said = `cd $dir && { $command ; } 2>&1`; return $? == 0 ? 1 : (diag(substr $said, -3000), 0)[1] }

# The machine's own package sources, asked for sources instead of packages.
sub debian_source {
  make_path("$dir/parts", "$dir/lists", "$dir/source");
  for my $list (glob '/etc/apt/sources.list /etc/apt/sources.list.d/*') {
    my $text = Server::slurp($list) =~ s/^Types:.*/Types: deb-src/mgr =~ s/^deb /deb-src /mgr;
    open my $out, '>', "$dir/parts/" . $list =~ s{.*/}{}r or die $!;
    print $out $text;
  }
  my $apt = "apt-get -q -o APT::Sandbox::User=root -o Dir::Etc::sourcelist=/dev/null"
    . " -o Dir::Etc::sourceparts=$dir/parts -o Dir::State::lists=$dir/lists";
  chomp(my $version = `dpkg-query -W -f '\${source:Version}' proftpd-core`);
  return unless sh("$apt update && cd source && $apt source proftpd-dfsg=$version");
  return (glob "$dir/source/proftpd-*/")[0];
}

my $source = $ENV{PROFTPD_SOURCE} // debian_source();
ok($source && -f "$source/configure", 'the sources of ProFTPD are here') or die 'no sources of ProFTPD';

Net::private();    # apt needed the network, the rest does not

for my $kind (qw(static shared)) {
  my $tree = "$dir/$kind";
  my $list = join ':', 'mod_tls', @ours;
  ok(sh("cp -r $source $tree && cp -r @{[map { qq($top/$_) } @ours]} $tree/contrib/"), "$kind: a copied directory is all it takes");
  my $with = $kind eq 'static' ? "--with-modules=$list" : "--enable-dso --with-shared=$list";
  ok(sh("cd $tree && ./configure --prefix=$dir/$kind-root --enable-ctrls --enable-openssl $with"), "$kind: configures");
  ok(sh("cd $tree && make -j2 && make install"), "$kind: builds and installs");
  local $Server::DAEMON = "$dir/$kind-root/sbin/proftpd";
  local $Server::BUILD  = "$dir/$kind-root/libexec";
  my $server = eval {
    Server->start(
      modules => $kind eq 'static' ? [] : ['mod_tls', @ours],
      config  => sub { Server::tls() . <<"EOC" },
ExtIPEngine on
ExtIPTable $_[0]{dir}/state/extip.tab
ExtIPSource if:lo
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvPool public 30000-30009
NATPasvRule * pool public
KeepaliveEngine on
EOC
    );
  };
  ok($server, "$kind: the daemon starts with all three") or diag $@;
  next unless $server;
  ok(Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /not global .* if:lo/ }, 15), "$kind: the helper has asked");
  $server->file('down', text => 'hello');
  my $client = Client->connect('127.0.0.1', $server->port)->auth_tls->login;
  is_deeply([$client->retr('down')], [226, '226 Transfer complete', 'hello'], "$kind: a download on TLS");
  my (undef, $port) = $client->pasv;
  ok($port >= 30000 && $port <= 30009, "$kind: the port is of the pool");
}

done_testing;
