# README.md as an operator follows it, on Debian 12 and 13: the package is built with
# the commands of "Build", lintian has nothing to say, and a fresh system with ProFTPD
# under systemd (debootstrap, systemd-nspawn) becomes an FTPS server behind the
# router of the laboratory with those of "Install on Debian". Downloads some 500 MB.
#
#   LONG=1 prove -It/lib t/install.t :: trixie      one release only

use strict;
use warnings;
use Client;
use File::Temp ();
use NatLab;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'installs systems: t/check --long' unless $ENV{LONG};
plan skip_all => 'the package has no sanitizers' if $ENV{SANITIZE};
for my $tool ([debootstrap => 'debootstrap'], ['systemd-nspawn' => 'systemd-container']) {
  my ($program, $package) = @$tool;
  plan skip_all => "$program (Debian package $package) is missing" unless grep { -x "$_/$program" } qw(/usr/sbin /usr/bin);
}
if (my $reason = NatLab::unavailable()) {
  plan skip_all => $reason;
}
my $mirror = $ENV{DEBIAN_MIRROR} // 'http://deb.debian.org/debian';
plan skip_all => "$mirror cannot be reached" if system("curl -sfIm 20 -o /dev/null $mirror/dists/stable/Release");

my $dir = File::Temp::tempdir('install-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $readme = Server::slurp('README.md');

# The commands of a section, block by block.
sub commands {
  my ($title) = @_;
  my ($section) = $readme =~ /^## \Q$title\E\n(.*?)(?=^## )/ms;
  return map { [map { s/^ {4}//r } split /\n/] } $section =~ /^((?: {4}\S.*\n)+)/mg;
}

# Runs a script of sh; returns whether it went well and what it said.
sub sh {
  my ($script, @before) = @_;
  my $pid = open(my $out, '-|') // die "fork: $!";
  if ($pid == 0) {
    open STDIN, '<', '/dev/null';
    open STDERR, '>&', \*STDOUT;
    exec @before, 'bash', '-ec', $script or POSIX::_exit(127);
  }
  local $/;
  my $said = <$out> // '';
  close $out;
  return ($? == 0, $said);
}

sub must { my ($ok, $said) = sh(@_); $ok or die "$_[0]: $said"; return $said }

# A system on the disk, and a command in it that has the network of this machine.
sub root {
  my ($release, $name, @packages) = @_;
  my $root = "$dir/$release-$name";
  must("debootstrap --variant=minbase --include=" . join(',', 'ca-certificates', 'sudo', @packages) . " $release $root $mirror");
  NatLab::write_file("$root/etc/apt/apt.conf.d/test", qq{APT::Get::Assume-Yes "true";\n});
  NatLab::write_file("$root/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 ftp\n");
  NatLab::write_file("$root/etc/hostname", "ftp\n");
  return $root;
}

sub inside { my ($root, $script) = @_; return sh($script, 'systemd-nspawn', '--quiet', '--pipe', '--register=no', '--keep-unit', '--setenv=DEBIAN_FRONTEND=noninteractive', '-D', $root) }

# The package, as "Build" makes it.
sub package_of {
  my ($release) = @_;
  my $root = root($release, 'build');
  must("mkdir $root/src && git archive HEAD | tar -x -C $root/src");
  my ($needed, $build) = @{ (commands('Build'))[0] };
  my ($ok, $said) = inside($root, "apt-get update\n$needed\ncd /src\n$build");
  ok($ok, "$release: the commands of \"Build\" make the package") or diag($said), return;
  ($ok, $said) = inside($root, 'apt-get install lintian >&2 && lintian --allow-root --fail-on error,warning /*.changes');
  ok($ok && $said !~ /^[EW]:/m, '... lintian has no error and no warning') or diag $said;
  return glob "$root/proftpd-mod-nat_*.deb";
}

# What the operator does in the editor: three sources, which are those of the laboratory.
sub choose_editor {
  my ($root, $lab) = @_;
  my @source = ('stun:9.9.9.2', 'http://9.9.9.2/', 'http://9.9.9.3/');
  NatLab::write_file("$root/root/editor", "#!/bin/sh -e\n" . join('', map {
      "sed -i '0,/ExtIPSource [a-z]*:.*example.*/s||ExtIPSource $_|' \"\$1\"\n" } @source) . "! grep example \"\$1\"\n");
  chmod 0755, "$root/root/editor";
  NatLab::write_file("$root/root/.selected_editor", "SELECTED_EDITOR=/root/editor\n");
}

# A booted system on the server host of the laboratory: a function that runs a script there.
sub boot {
  my ($root, $lab) = @_;
  my $nspawn = fork // die "fork: $!";
  if ($nspawn == 0) {
    POSIX::setsid();
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', "$dir/console";
    open STDERR, '>&', \*STDOUT;
    $ENV{SYSTEMD_NSPAWN_UNIFIED_HIERARCHY} = 1;
    exec 'systemd-nspawn', '-b', '-D', $root, '--machine=ftp', '--register=no', '--keep-unit', '--network-namespace-path=/run/netns/' . $lab->ns('server')
      or POSIX::_exit(127);
  }
  my $run = sub {
    my ($init) = Server::children_of($nspawn) or return;
    return sh($_[0], 'nsenter', '-a', '-t', $init, 'env', '-', 'HOME=/root', "PATH=$ENV{PATH}");
  };
  Net::wait_for(sub { ($run->('systemctl is-active proftpd'))[0] }, 30) or die Server::slurp("$dir/console") . ($run->('journalctl -n 30'))[1];
  return ($run, $nspawn);
}

sub transfers {
  my ($lab) = @_;
  my $client = Client->connect($lab->external, 21, netns => $lab->ns('client'));
  $client->auth_tls->login('joe', 'secret');
  my ($address, $port) = $client->pasv;
  is($address, $lab->external, '... an outside client is told the outside address');
  ok($port >= 61000 && $port <= 61999, "... and a port that the router forwards, $port");
  is(($client->stor('up', 'all well'))[0], 226, '... it uploads by FTPS');
  is(join(' ', ($client->retr('up'))[0, 2]), '226 all well', '... and downloads');
  $client->quit;
}

my $tree = 'cd /etc/proftpd && find . -type f -exec sha256sum {} + -o -printf "%p %y %m %U:%G %l\n" | sort';

sub try {
  my ($release, $deb) = @_;
  my $root = root($release, 'fresh', qw(systemd-sysv dbus procps proftpd-core proftpd-mod-crypto openssl sensible-utils));
  my $lab = NatLab->new(wan => '9.9.9', ports => '61000-61999')->internet;
  must("cp $deb $root/root/ && rm -f $root/usr/sbin/policy-rc.d");
  my ($ok, $said) = inside($root, 'useradd -m -s /bin/bash joe && echo joe:secret | chpasswd; apt-get update && apt-get install --download-only /root/*.deb');
  ok($ok, "$release: what the package needs is downloaded") or diag($said), return;
  choose_editor($root, $lab);
  my ($run, $nspawn) = boot($root, $lab);
  my $before = ($run->($tree))[1];
  my @commands = @{ (commands('Install on Debian'))[0] };
  cmp_ok(scalar(@commands), '<=', 5, '... README.md has at most five commands');
  my $start = time;
  ($ok, $said) = $run->(join "\n", 'cd /root', 'set -x', @commands);
  ok($ok, '... which go well') or diag $said;
  ok(Net::wait_for(sub { ($run->('ftpdctl extip status'))[1] =~ /address +\Q9.9.9.7\E$/m }, 20), '... ftpdctl answers, and the address is known')
    or diag $run->('journalctl -n 30; ftpdctl extip status');
  transfers($lab);
  my $took = sprintf '%.0f', time - $start;
  cmp_ok($took, '<', 300, "... within five minutes: $took s");
  diag "$release: @{[scalar @commands]} commands, $took s";
  note $said;

  my $with = ($run->($tree))[1];
  ($ok, $said) = $run->('apt-get purge proftpd-mod-nat');
  ok($ok && $said !~ /WARNING|will not start/, '... the package is purged, without a warning') or diag $said;
  is(($run->($tree))[1], $with, '... which leaves /etc/proftpd as it was');
  ok(($run->('systemctl is-active proftpd && systemctl restart proftpd && systemctl is-active proftpd'))[0], '... and ProFTPD runs, and restarts')
    or diag $run->('journalctl -u proftpd -n 20');
  ($run->('rm /etc/proftpd/conf.d/nat.conf /etc/proftpd/conf.d/ftps-only.conf'))[0] or die;
  is(($run->($tree))[1], $before, '... nor has the installation changed anything there');
  $run->('systemctl poweroff');
  ok(Net::wait_for(sub { waitpid $nspawn, POSIX::WNOHANG }, 30), '... and the system shuts down');
}

for my $release (@ARGV ? @ARGV : qw(bookworm trixie)) {
  my ($deb) = package_of($release) or next;
  try($release, $deb);
}

done_testing;
