# The symptoms of troubleshooting.html about the external address, about starting
# and about confinement, each provoked on a daemon of its own.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use BadServer;
use ExtIP;
use Preload;
use Server;
use Symptoms;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
Net::own_mounts();
my $tools = File::Temp::tempdir('symptoms-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $tools;
my @mounts;
my $owner = $$;
END { if ($$ == $owner) { local $?; system('umount', '-l', $_) for reverse @mounts } }

sub extip { my ($config, %opt) = @_; return Server->start(bind => $ExtIP::bind, port => 2121, modules => ['mod_extip'], config => $config, %opt) }
sub log_of { my ($server) = @_; return sub { ExtIP::log($server) } }

# Sources that fail, each in its way, in a virtual host of its own.
my $bad = BadServer->start(host => '127.0.0.2');
{
  my @web = ExtIP::webs('9.9.9.9');
  my $server = ExtIP::server(\@web, "ExtIPRefresh 1s 1s\n");
  ok(ExtIP::known($server, '9.9.9.9'), 'the address is known');
  $_->stop for @web;
  symptom('SourcesDead', Log => log_of($server));
  $server->stop;
}
{
  system('mount', '--bind', '/dev/null', '/etc/resolv.conf') == 0 && push @mounts, '/etc/resolv.conf';
  my ($inside) = ExtIP::webs('100.64.3.3');
  my $server = extip(sub { <<"EOC" });
ExtIPEngine on
ExtIPTable none
ExtIPCACertificate @{[$bad->ca]}
ExtIPSource http://ip.example.org/
ExtIPSource @{[$bad->https('expired', '/good')]}
ExtIPSource @{[$inside->uri]}
<VirtualHost 127.0.0.3>
ExtIPEngine on
</VirtualHost>
EOC
  symptom($_, Log => log_of($server)) for qw(DNSDead Certificate NotGlobal NoSource);
  $server->stop;
}

# A clock that is behind, and then set.
SKIP: {
  my ($library) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
  skip 'faketime (Debian package faketime) is missing', 2 unless $library;
  skip 'a wrong clock and the sanitizers do not go together', 2 if $ENV{SANITIZE};
  my $set = sub { open my $f, '>', "$tools/clock.new" or die $!; print $f "$_[0]\n"; close $f; rename "$tools/clock.new", "$tools/clock" };
  $set->('-4000d');
  my $server = extip(sub { ExtIP::config($_[0], $bad->https('good', '/good')) . "ExtIPCACertificate @{[$bad->ca]}\nExtIPTable none\nExtIPRefresh 1s 1s\n" },
    env => { LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => "$tools/clock", FAKETIME_NO_CACHE => 1, DONT_FAKE_MONOTONIC => 1 });
  symptom('Clock', Log => log_of($server));
  $set->('+0d');
  symptom('ClockStep', Log => log_of($server));
  ok(ExtIP::known($server, BadServer::GOOD), '... and then the address is known');
  $server->stop;
}

# The file of the address.
{
  my $dir = File::Temp::tempdir('proftpd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
  mkdir "$dir/state", 0755;
  chmod 0755, $dir;
  system("mount --bind $dir/state $dir/state && mount -o remount,ro,bind $dir/state") == 0 or die 'mount';
  push @mounts, "$dir/state";
  my $server = extip(sub { ExtIP::config($_[0], 'if:lo') }, keep => $dir);
  symptom('ReadOnly', Log => log_of($server));
  $server->stop;
}
{
  my $first = extip(sub { ExtIP::config($_[0], 'if:lo') });
  ok(Net::wait_for(sub { -e "$first->{dir}/state/extip.tab" }), 'a daemon has a file');
  my $second = extip("ExtIPEngine on\nExtIPSource if:lo\nExtIPTable $first->{dir}/state/extip.tab\n", port => 2122);
  symptom('TwoTables', Log => log_of($second));
  $_->stop for $second, $first;
}

# A module that was built for the next release.
{
  my ($headers) = Server::slurp("$Server::BUILD/../Makefile") =~ /-isystem (\S+)/;
  my $source = "$FindBin::Bin/../mod_keepalive";
  mkdir "$tools/next";
  open my $file, '>', "$tools/next/mod_keepalive.c" or die $!;
  print $file <<"EOC";
#include "conf.h"
#undef PROFTPD_VERSION_NUMBER
#undef PROFTPD_VERSION_TEXT
#define PROFTPD_VERSION_NUMBER 0x0001040005
#define PROFTPD_VERSION_TEXT "1.4.0"
#include "$source/mod_keepalive.c"
EOC
  close $file;
  my @rest = grep { !m{/mod_keepalive\.o$} } glob "$Server::BUILD/mod_keepalive/*.o";
  my $sanitize = $ENV{SANITIZE} ? '-fsanitize=address,undefined' : '';
  system("gcc -shared -fPIC -fvisibility=hidden -D_GNU_SOURCE -DPR_SHARED_MODULE $sanitize -isystem $headers -I$source -o $tools/next/mod_keepalive.so $tools/next/mod_keepalive.c @rest -lssl -lcrypto") == 0 or die 'gcc';
  my ($status, $said) = Server->configtest(modules => ['mod_keepalive'], build => "$tools/next");
  isnt($status, 0, 'a module of another release');
  symptom('WrongABI', Log => $said);
}

# The helper program, in a directory of its own with the module.
{
  mkdir "$tools/build";
  system('cp', "$Server::BUILD/mod_extip.so", "$tools/build/") == 0 or die;
  open my $helper, '>', "$tools/build/extip-helper" or die $!;
  print $helper "#!/etc/passwd\n";    # what cannot be run, EACCES
  close $helper;
  chmod 0755, "$tools/build", "$tools/build/extip-helper";
  my $server = extip("ExtIPEngine on\nExtIPSource if:lo\nExtIPTable none\n", build => "$tools/build");
  symptom('HelperCannotStart', Log => log_of($server));
  my $at = sub { my ($pattern) = @_; return ExtIP::log($server) =~ /^\S+ (\d+):(\d+):(\d+),(\d+) .*$pattern/m ? $1 * 3600 + $2 * 60 + $3 + $4 / 1000 : undef };
  my $four = Net::wait_for(sub { $at->('restarting in 4 s') }, 5);
  cmp_ok((($four // 0) - $at->('restarting in 2 s') + 86400) % 86400, '>=', 1, '... and it is tried again when the log says, not at once');
  my $lines = () = ExtIP::log($server) =~ /cannot run/g;
  is($lines, 3, '... each time with the reason');
  $server->stop;
}
SKIP: {
  skip "Denied: $Symptoms::NOT_PROVOKED{Denied}", 1;
}

{
  my $server = extip("ExtIPEngine on\nExtIPSource if:lo\nExtIPTable none\n", env => Preload::no_netlink());
  symptom('Sandbox', Log => log_of($server));

  chmod 0755, "$server->{dir}/run";
  my $ask = sub { my ($path) = @_; return `setpriv --reuid=nobody --regid=nogroup --clear-groups $Server::FTPDCTL -s $path extip status 2>&1` =~ s/^ftpdctl: //mgr };
  symptom('AccessDenied', 'ftpdctl extip status' => sub { $ask->("$server->{dir}/run/ctrls.sock") });
  symptom('SocketRefused', 'ftpdctl extip status' => $ask->("$server->{dir}/run/nothing"));
  $server->stop;
}

done_testing;
