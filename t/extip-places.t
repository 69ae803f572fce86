#!/usr/bin/perl
# mod_extip on hosts that lack something: a disk that can be written, /proc, more
# than a few descriptors, netlink, root. Everywhere the address is announced, by
# new sessions and those from before, before a reload and after, though no source
# answers any more by then.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use File::Path qw(remove_tree);
use File::Temp ();
use Preload;
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
Net::own_mounts();
my $tools = File::Temp::tempdir('proftpd-test-places-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $tools;
my @mounts;
my $owner = $$;
END { if ($$ == $owner) { local $?; system('umount', '-l', $_) for reverse @mounts } }

sub mounted { my ($where, @how) = @_; system('mount', @how, $where) == 0 or die "mount $where"; push @mounts, $where unless grep { $_ eq $where } @mounts }

# A daemon that is started by a shell script.
sub through {
  my ($script) = @_;
  my $path = "$tools/proftpd";
  open my $file, '>', $path or die $!;
  print $file "#!/bin/sh\n$script\n";
  close $file;
  chmod 0755, $path;
  return $path;
}

my $lost = qr/so the address will not survive a restart/;

# Sockets of a process without CAP_NET_ADMIN, with net.core.wmem_max as it was by
# default before Linux 6.18.
sub small_sockets {
  return Preload::library('small-sockets', <<'EOC');
int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  const int most = 212992;
  if (level == SOL_SOCKET && name == SO_SNDBUFFORCE) { errno = EPERM; return -1; }
  if (level == SOL_SOCKET && name == SO_SNDBUF && *(const int *) value > most) value = &most;
  return ((int (*)(int, int, int, const void *, socklen_t)) dlsym(RTLD_NEXT, "setsockopt"))(fd, level, name, value, size);
}
EOC
}

my @cases = (
  ['a file system that can only be read', sub { my ($dir) = @_; mounted("$dir/state", '--bind', "$dir/state"); mounted("$dir/state", '-o', 'remount,ro,bind') }, '', $lost],
  ['a directory where others may write', sub { chmod 0777, "$_[0]/state" }, '', $lost],
  ['a full disk', sub {
    my ($dir) = @_;
    mounted("$dir/state", '-t', 'tmpfs', '-o', 'size=16k,mode=755', 'tmpfs');
    open my $file, '>', "$dir/state/rest" or die $!;
    1 while syswrite $file, "\0" x 4096;
  }, '', $lost],
  ['no /proc', sub { }, 'exec unshare -m sh -c \'mount -t tmpfs none /proc && exec "$@"\' sh DAEMON "$@"', undef],
  ['few descriptors', sub { }, 'exec prlimit --nofile=32 DAEMON "$@"', undef],
  ['files of 30,000 bytes', sub { }, 'exec prlimit --fsize=30000 DAEMON "$@"', $lost],
  ['no netlink', sub { }, '', qr/changes of this host's addresses will not be noticed: netlink/, env => \&Preload::no_netlink],
  ['ExtIPTable none', sub { }, '', undef, config => "ExtIPTable none\n"],
);

my $daemon = $Server::DAEMON;
for my $case (@cases) {
  my ($name, $prepare, $script, $says, %opt) = @$case;
  subtest $name => sub {
    plan skip_all => 'not with the sanitizers, which need /proc and address space' if $ENV{SANITIZE} and $opt{env} || $script;
    my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
    my $dir = File::Temp::tempdir('proftpd-test-XXXXXX', TMPDIR => 1);
    mkdir "$dir/state", 0755;
    chmod 0755, $dir;
    $prepare->($dir);
    local $Server::DAEMON = through($script =~ s/DAEMON/$daemon/r) if $script;
    my $server = Server->start(bind => $ExtIP::bind, port => 2121, modules => ['mod_extip'], keep => $dir,
      env => $opt{env} ? $opt{env}->() : {},
      config => sub { ExtIP::config($_[0], @web) =~ s/^ExtIPTable.*\n//mr . ($opt{config} // "ExtIPTable $dir/state/extip.tab\n")
        . "MasqueradeAddress 1.2.3.4\nExtIPRefresh 30s 1s\n" });
    ok(ExtIP::known($server, '9.9.9.9'), 'the address is found');
    my $before = ExtIP::client($server)->login;
    is(ExtIP::announced($before), '9.9.9.9', '... and announced');
    like(ExtIP::log($server), $says, 'the log says what is missing') if $says;
    is(scalar(() = ExtIP::log($server) =~ /$says/g), 1, '... once') if $says;

    $_->stop for @web;
    my $helper = ExtIP::helper($server);
    $server->hup;
    ok(ExtIP::next_helper($server, 10, $helper), 'a reload, and no source answers');
    is(ExtIP::announced($before), '9.9.9.9', 'the session from before announces the address');
    is(ExtIP::announced(ExtIP::client($server)->login), '9.9.9.9', '... and a new one');

    # What comes after that reaches both.
    @web = ExtIP::webs('8.8.8.8', '8.8.8.8');
    $server->ctl('extip', 'refresh');
    ok(Net::wait_for(sub { ExtIP::announced($before) eq '8.8.8.8' }, 15), 'another address reaches the session from before');
    is(ExtIP::announced(ExtIP::client($server)->login), '8.8.8.8', '... and a new one');
    unlike(ExtIP::log($server), qr/has ended/, 'no helper has died');
    $server->stop;
    while (@mounts and $mounts[-1] =~ /^\Q$dir/) { system('umount', '-l', pop @mounts) }
    remove_tree($dir);
  };
}

# The helper is to have all that is known before it starts to read.
subtest 'no CAP_NET_ADMIN' => sub {
  plan skip_all => 'not with the sanitizers, which have to come first' if $ENV{SANITIZE};
  my ($web) = ExtIP::webs('9.9.9.9');
  my $source = $web->uri;
  my $server = Server->start(bind => $ExtIP::bind, port => 2121, modules => ['mod_extip'], env => small_sockets(), config => sub {
    "ExtIPTable $_[0]{dir}/state/extip.tab\n" . join '', map { <<"EOC" } 1 .. 64 });
<VirtualHost $ExtIP::bind>
Port @{[2200 + $_]}
ExtIPEngine on
ExtIPSource $source$_
ExtIPRefresh 1h
</VirtualHost>
EOC
  my $rounds = sub { scalar grep { $_->{round_ended} } @{ (eval { $server->ctl_json('extip', 'status') } // {})->{answers} // [] } };
  my $helper = Net::wait_for(sub { ExtIP::helper($server) }, 5);
  ok($helper, 'there is a helper for 64 servers') or diag ExtIP::log($server);
  ok(Net::wait_for(sub { $rounds->() == 64 }, 10), '... which asks for each');
  $server->hup;
  ok(ExtIP::next_helper($server, 10, $helper), 'a reload has another helper');
  unlike(ExtIP::log($server), qr/cannot start the helper/, '... at once');
  $server->stop;
};

# The daemon has no descriptors left when it starts the helper, and has later.
subtest 'no descriptors at first' => sub {
  my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  my $server = ExtIP::server(\@web, '', env => Preload::no_socket('late-sockets', 'socketpair', '(type & 15) == SOCK_SEQPACKET', 'EMFILE', 1));
  my $refused = qr/cannot start the helper process, trying again in 10 s: Too many open files$/m;
  ok(Net::wait_for(sub { ExtIP::log($server) =~ $refused }, 10), 'the log says that there is no helper');
  is(ExtIP::helper($server), undef, '... and there is none');
  is((ExtIP::client($server)->login->cmd('STAT'))[0], 211, '... and clients are served');
  ok(ExtIP::known($server, '9.9.9.9'), '... which comes by itself, and finds the address');
  is(scalar(() = ExtIP::log($server) =~ /$refused/g), 1, '... and it was said once');
  $server->stop;
};

# A daemon that was never root.
subtest 'not root' => sub {
  plan skip_all => 'setpriv (Debian package util-linux) is missing' unless grep { -x "$_/setpriv" } qw(/usr/bin /bin);
  my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  my $server = Server->new(bind => $ExtIP::bind, port => 2121, modules => ['mod_extip'],
    config => sub { ExtIP::config($_[0], @web) . "ExtIPRefresh 30s 1s\n" });
  system('chown', '-R', 'nobody:nogroup', $server->dir) == 0 or die;
  my @as_user = ('setpriv', '--reuid=' . $server->uid, '--regid=' . $server->gid, '--clear-groups');
  local $Server::DAEMON = through("exec @as_user $daemon \"\$@\"");
  $server->run;
  ok(ExtIP::known($server, '9.9.9.9'), 'the address is found');
  ok(-s $server->dir . '/state/extip.tab', '... and in the file, which is the daemon\'s own');
  my $helper = ExtIP::helper($server);
  like(Server::slurp("/proc/$helper/status"), qr/^Uid:(?:\t@{[$server->uid]}){4}$/m, 'the helper is who the daemon is');
  $server->hup;
  ok(ExtIP::next_helper($server, 10, $helper), 'a reload has another helper');
  is((ExtIP::client($server)->pasv)[0] // 'refused', 'refused', 'PASV before login is refused, and nobody dies');

  # fork() fails with EAGAIN. It is tried again every 10 s.
  my $limit = sub { system(@as_user, 'prlimit', '--pid=' . $server->pid, "--nproc=$_[0]:") == 0 or die 'prlimit' };
  my ($all) = Server::slurp('/proc/' . $server->pid . '/limits') =~ /^Max processes +(\S+)/m;
  my $refused = qr/cannot start the helper process, trying again in 10 s: Resource temporarily unavailable$/m;
  $helper = ExtIP::helper($server);
  $limit->(1);
  kill 'KILL', $helper;
  ok(Net::wait_for(sub { ExtIP::log($server) =~ $refused }, 10), 'there may be no more processes: the log says that there is no helper');
  like(ExtIP::status($server), qr/^  address     9\.9\.9\.9$/m, '... and the daemon goes on, with the address');
  sleep 21 if $ENV{LONG};
  is(scalar(() = ExtIP::log($server) =~ /$refused/g), 1, '... which it says once');
  $limit->($all);
  $server->hup unless $ENV{LONG};
  ok(ExtIP::next_helper($server, 15, $helper), 'there may be more again: there is a helper');
  $server->stop;
};

done_testing;
