#!/usr/bin/perl
# The helper process of mod_extip: what it has given up, what SIGHUP leaves
# behind, and with whom it dies.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my @web = ExtIP::webs(('9.9.9.9') x 2);

sub alive { my ($pid) = @_; return Server::slurp("/proc/$pid/stat") =~ /\) [^ZX]/ }

my $server = ExtIP::server(\@web, sub { "ExtIPLog $_[0]{dir}/extip.log\nExtIPRefresh 5m 1s\n" });
ok(Net::wait_for(sub { Server::slurp($server->dir . '/extip.log') =~ /address is now 9\.9\.9\.9/ }, 15),
  'ExtIPLog has the line of the first address');
unlike(ExtIP::log($server), qr/address is now/, '... and the system log has not');
my $helper = ExtIP::helper($server);

# Least privilege
{
  my $status = Server::slurp("/proc/$helper/status");
  my ($uid, $gid) = ($server->uid, $server->gid);
  like($status, qr/^Uid:(?:\t$uid){4}$/m, "all its user ids are User's");
  like($status, qr/^Gid:(?:\t$gid){4}$/m, "all its group ids are Group's");
  like($status, qr/^Groups:\s*$/m, 'it has no supplementary groups');
  like($status, qr/^Cap$_:\t0+$/m, "its capability set $_ is empty") for qw(Inh Prm Eff Bnd Amb);
  like($status, qr/^NoNewPrivs:\t1$/m, 'it cannot gain privileges');
  my @stat = split ' ', Server::slurp("/proc/$helper/stat") =~ s/^.*\) //r;
  is($stat[3], $helper, 'it is in a session of its own');
  is($stat[4], 0, '... without a terminal');

  my %fd = map { my ($n) = m{(\d+)$}; $n => readlink } glob "/proc/$helper/fd/*";
  is($fd{$_}, '/dev/null', "descriptor $_ is /dev/null") for 0, 1;
  delete @fd{0, 1};
  my $dir = $server->dir;
  my @files = grep { !/^socket:|^anon_inode:\[(?:timerfd|eventfd)\]$/ } values %fd;    # libcurl wakes itself up by either
  my @needed = ("$dir/state/extip.tab", "$dir/extip.log", "$dir/log", "$dir/stderr");
  is_deeply([grep { my $f = $_; !grep { $_ eq $f } @needed } @files], [],
    'of the files it has only the table and the logs') or diag explain \%fd;
  my %socket = map { /\[(\d+)\]/ ? ($1 => 1) : () } values %fd;
  cmp_ok(scalar keys %socket, '<=', 5, 'it has the sockets to the daemon, the sessions and the kernel, and a pair of libcurl')
    or diag explain \%fd;
  my @listening = map { (split)[9] } grep { / 0A / } map { split /\n/, Server::slurp("/proc/$helper/net/$_") } 'tcp', 'tcp6';
  cmp_ok(scalar @listening, '>', 0, 'there are listening sockets here');
  is_deeply([grep { $socket{$_} } @listening], [], '... none of which it has');

  my ($session) = do {
    my $client = ExtIP::client($server)->login;
    my @found = grep { $_ != $helper } $server->children;
    my @tables = grep { /extip\.tab/ } map { readlink // () } glob "/proc/$found[0]/fd/*";
    is(scalar @tables, 0, 'a session has no descriptor of the table');
    my @maps = map { /^\S+ (\S+) .*memfd:mod_extip\.memory/ } split /\n/, Server::slurp("/proc/$found[0]/maps");
    is("@maps", 'r--s', '... but a mapping that it can only read');
    @found;
  };
}

my $client = ExtIP::client($server)->login;
my %seen;

# SIGHUP
$server->file('down', size => 40_000_000);
sub hup {
  my $old = ExtIP::helper($server);
  $server->hup;
  return ExtIP::next_helper($server, 10, $old);
}
hup() for 1 .. 2;
my $before = $server->belongings;
my $transfer = ExtIP::client($server)->login;
my $data = $transfer->dial($server->bind, ($transfer->pasv)[1]);
is(($transfer->cmd('RETR down'))[0], 150, 'a download is under way');
my $hups = $ENV{LONG} ? 50 : 6;
my $done = 0;
for (1 .. $hups) {
  hup() and $done++;
  $seen{ ExtIP::announced($client) }++;
  $seen{ ExtIP::announced(ExtIP::client($server)->login) }++;
}
is($done, $hups, "$hups times SIGHUP, $hups times another helper");
is_deeply([keys %seen], ['9.9.9.9'], 'old and new sessions announce the address throughout');
1 while sysread $data, my $rest, 1 << 20;
close $data;
is(($transfer->reply)[0], 226, 'the download comes to its end');
$transfer->quit;
Net::wait_for(sub { $server->children == 2 }, 5);
is(scalar(grep { Server::slurp("/proc/$_/cmdline") =~ /^extip-helper/ } $server->children), 1,
  'one helper is left');
is_deeply($server->belongings, $before,
  'the daemon has no more descriptors and mappings than before');

# It dies with the daemon, however that dies.
for my $signal (qw(TERM KILL INT)) {
  $helper = ExtIP::helper($server);
  ok($helper, "a helper, and SIG$signal for the daemon");
  my @all = $server->children;
  kill $signal, $server->pid;
  ok(Net::wait_for(sub { !alive($helper) }, 2), '... the helper is gone within 2 s');
  kill 'KILL', @all;
  $server->stop('KILL');
  $server = ExtIP::server(\@web);
  ExtIP::known($server, '9.9.9.9');
}

done_testing;
