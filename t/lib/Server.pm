package Server;

# A real ProFTPD in a directory of its own: started with a configuration,
# asked, signalled, always stopped.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use Janitor;
use Net;
use Scalar::Util qw(weaken);
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm);

our $BUILD = abs_path($ENV{BUILD_DIR} // dirname(__FILE__) . '/../../build');
our $DAEMON = $ENV{PROFTPD} // (grep { -x } map { "$_/proftpd" } '/usr/sbin', '/usr/local/sbin')[0];
# Releases differ in how ftpdctl speaks to the daemon.
our ($FTPDCTL) = grep { -x } map { "$_/ftpdctl" } dirname($DAEMON // '') =~ s{/sbin$}{/bin}r, '/usr/bin', '/usr/local/bin';
our %OURS = map { $_ => 1 } qw(mod_extip mod_natpasv mod_keepalive);

my %running;    # pid of the test that started it => its servers

# The reason why no server can be started, or nothing.
sub unavailable {
  return 'proftpd (Debian package proftpd-core) is missing' unless $DAEMON;
  return 'the daemon and its sessions need root' if $> != 0;
  return;
}

# A TLS key pair for the whole test run, or in a directory that outlives it. On
# an elliptic curve: an RSA key takes longer to make than most servers to start.
sub certificate {
  my $dir = shift // File::Temp::tempdir('proftpd-test-cert-XXXXXX', TMPDIR => 1, CLEANUP => 1);
  my $pem = "$dir/server.pem";
  system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ftp.example"
    . " -addext subjectAltName=DNS:ftp.example,IP:127.0.0.1"
    . " -keyout $dir/key -out $dir/crt 2>/dev/null && cat $dir/key $dir/crt > $pem") == 0
    or die 'openssl could not make a certificate';
  return $pem;
}

my $certificate;

# A block for config => that turns on FTPS with a certificate of its own.
sub tls {
  my (%opt) = @_;
  $certificate //= certificate($opt{dir});
  my $protocol = $opt{protocol} // 'TLSv1.2 TLSv1.3';
  my $options  = $opt{options}  // 'NoSessionReuseRequired';
  return <<"EOC";
TLSEngine on
TLSProtocol $protocol
TLSECCertificateFile $certificate
TLSECCertificateKeyFile $certificate
TLSRequired off
TLSOptions $options
TLSLog none
EOC
}

# Options: modules (load order), config (appended text, or a code reference
# that is given the server and returns it), base (text that replaces the base
# configuration's defaults), bind, port, netns, keep (a directory to reuse),
# env (hash), args (more arguments for the daemon).
sub new {
  my ($class, %opt) = @_;
  my $self = bless {
    bind => '127.0.0.1', modules => [], config => '', env => {}, args => [], %opt,
    owner => $$,
  }, $class;
  $self->{dir} = $opt{keep} // File::Temp::tempdir('proftpd-test-XXXXXX', TMPDIR => 1);
  $self->{port} //= Net::free_port($self->{bind}, $self->{netns});
  chmod 0755, $self->{dir};
  make_path("$self->{dir}/run", "$self->{dir}/home", "$self->{dir}/modules", "$self->{dir}/state");
  chown $self->uid, $self->gid, "$self->{dir}/home";
  make_path("$self->{dir}/sanitizer");
  chmod 01777, "$self->{dir}/sanitizer";    # sessions and the helper are not root
  $self->link_modules;
  $self->write_accounts;
  $self->write_config;
  return $self;
}

sub start {
  my ($class, %opt) = @_;
  my $self = $class->new(%opt);
  $self->run;
  return $self;
}

# The outcome of "proftpd -t": exit status and everything it printed.
sub configtest {
  my ($class, %opt) = @_;
  my $self = $class->new(port => 2121, %opt);
  local %ENV = (%ENV, $self->environment);
  my $output = `@{[$self->command('-t', '-n')]} 2>&1 </dev/null`;
  my $status = $? >> 8;
  remove_tree($self->{dir}) unless $opt{keep};
  return ($status, $output);
}

sub uid { (getpwnam 'nobody')[2] }
sub gid { (getpwnam 'nobody')[3] }
sub dir  { $_[0]{dir} }
sub home { "$_[0]{dir}/home" }
sub port { $_[0]{port} }
sub bind { $_[0]{bind} }
sub netns { $_[0]{netns} }
sub user { 'ftp' }
sub password { 'ftp' }
sub pid { $_[0]{pid} }
sub conf { "$_[0]{dir}/proftpd.conf" }

# Asked once for each daemon: ProFTPD's start is the larger part of many tests.
my %system_modules;
sub system_modules {
  return $system_modules{$DAEMON} //= (`$DAEMON -V 2>/dev/null` =~ /Shared Module Directory:\s*(\S+)/)[0];
}

sub has_module { return -e system_modules() . "/$_[0].so" }

# Debian 13 builds as modules what others have in the daemon and every test
# needs.
sub modules {
  my ($self) = @_;
  my @core = grep { has_module($_) } qw(mod_delay mod_ls mod_xfer);
  my %core = map { $_ => 1 } @core;
  return @core, grep { !$core{$_} } @{ $self->{modules} };
}

# Modules are found in one directory, ours and the system's side by side.
sub link_modules {
  my ($self) = @_;
  my $system = system_modules();
  for my $module ($self->modules) {
    my $from = $OURS{$module} ? $self->{build} // $BUILD : -e "$BUILD/modules/$module.so" ? "$BUILD/modules" : $system;
    symlink "$from/$module.so", "$self->{dir}/modules/$module.so";
  }
}

sub write_file {
  my ($self, $name, $text, $mode) = @_;
  my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
  open my $file, '>', $path or die "$path: $!";
  print $file $text;
  close $file;
  chmod $mode, $path if defined $mode;
  return $path;
}

sub write_accounts {
  my ($self) = @_;
  my $hash = crypt('ftp', '$1$NatPasv$');
  $self->write_file('passwd', join(':', 'ftp', $hash, $self->uid, $self->gid, '', $self->home, '/bin/sh') . "\n", 0640);
}

# A file in the user's directory; size in bytes, or the text itself.
sub file {
  my ($self, $name, %opt) = @_;
  my $path = "$self->{dir}/home/$name";
  open my $file, '>', $path or die "$path: $!";
  if (exists $opt{size}) { truncate $file, $opt{size} } else { print $file $opt{text} // '' }
  close $file;
  chown $self->uid, $self->gid, $path;
  return $path;
}

sub write_config {
  my ($self) = @_;
  my $dir = $self->{dir};
  my $text = ref $self->{config} ? $self->{config}->($self) : $self->{config};
  my $load = join '', map { "LoadModule $_.c\n" } $self->modules;
  my $base = $self->{base} // <<"EOC";
ServerName test
ServerType standalone
DefaultServer on
ServerIdent on "ready"
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
MaxInstances none
RequireValidShell off
AuthOrder mod_auth_file.c
<IfModule mod_auth_pam.c>
AuthPAM off
</IfModule>
AllowOverwrite on
AllowStoreRestart on
AllowRetrieveRestart on
DefaultAddress $self->{bind}
SocketBindTight on
Port $self->{port}
<IfModule mod_delay.c>
DelayEngine off
</IfModule>
WtmpLog off
TransferLog none
EOC
  $self->write_file('proftpd.conf', <<"EOC", 0644);
<IfModule mod_dso.c>
ModulePath $dir/modules
</IfModule>
${load}PidFile $dir/run/pid
ScoreboardFile $dir/run/scoreboard
SystemLog $dir/log
AuthUserFile $dir/passwd
<IfModule mod_ctrls.c>
ControlsEngine on
ControlsSocket $dir/run/ctrls.sock
ControlsSocketACL allow user *
ControlsACLs all allow user *
ControlsLog $dir/ctrls.log
ControlsInterval 1
</IfModule>
<Directory />
AllowOverwrite on
</Directory>
$base$text
EOC
}

# Changes the configuration; a hup or a restart makes it count.
sub reconfigure {
  my ($self, $config) = @_;
  $self->{config} = $config;
  $self->write_config;
}

my $libasan;
sub environment {
  my ($self) = @_;
  my %env = %{ $self->{env} };
  if ($ENV{SANITIZE}) {
    chomp($libasan //= `gcc -print-file-name=libasan.so`);
    %env = (
      LD_PRELOAD => $libasan,
      # Sessions end with _exit, and the daemon's own leaks are not ours.
      ASAN_OPTIONS => "detect_leaks=0:abort_on_error=0:log_path=$self->{dir}/sanitizer/report",
      UBSAN_OPTIONS => "print_stacktrace=1:log_path=$self->{dir}/sanitizer/report",
      %env,
    );
  }
  return %env;
}

sub command {
  my ($self, @more) = @_;
  return (Net::prefix($self->{netns}), $DAEMON, '-c', $self->conf, @{ $self->{args} }, @more);
}

sub run {
  my ($self) = @_;
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    %ENV = (%ENV, $self->environment);
    open STDIN, '<', '/dev/null';
    open STDOUT, '>>', "$self->{dir}/stderr";
    open STDERR, '>&', \*STDOUT;
    exec $self->command('-n') or CORE::exit(127);
  }
  $self->{pid} = $pid;    # ip netns exec becomes the daemon: one process
  weaken($running{$$}{$pid} = $self);
  Janitor::watch($pid, $self->{keep} ? '/nowhere' : $self->{dir});
  my $up = Net::wait_for(sub {
    return 'dead' if waitpid($pid, 1) == $pid;    # WNOHANG
    $self->listens;
  }, 15);
  if (!$up or $up eq 'dead') {
    my $said = $self->log;
    $self->stop if $up;
    die "proftpd did not start:\n$said";
  }
  return $self;
}

# Whether it does, without a connection, of which a session would be left.
sub listens {
  my ($self) = @_;
  my $port = sprintf '%04X', $self->{port};
  my %socket = map { ("socket:[$_]" => 1) } map { slurp("/proc/$self->{pid}/net/$_") =~ /^ *\d+: \w+:$port \S+ 0A \S+ \S+ \S+ +\d+ +\d+ (\d+) /mg } qw(tcp tcp6);
  return grep { $socket{ readlink // '' } } glob "/proc/$self->{pid}/fd/*";
}

sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> // '' }
sub log    { slurp("$_[0]{dir}/log") . $_[0]->stderr }    # in the foreground it logs to stderr
sub stderr { slurp("$_[0]{dir}/stderr") }

# Reports of the sanitizers, empty when clean. ASAN writes files, UBSAN may
# have only stderr.
sub sanitizer {
  my ($self) = @_;
  return join '', map({ slurp($_) } glob "$self->{dir}/sanitizer/*"),
    $self->stderr =~ /^.*(?:runtime error: |ERROR: \w+Sanitizer).*\n/mg;
}

# Processes of this server (daemon, helper, sessions), by process group and
# parentage: everything that has our configuration's directory on it.
sub processes {
  my ($self) = @_;
  my (%parent, @all);
  for (glob '/proc/[0-9]*') {
    my ($pid) = /(\d+)$/;
    my $stat = slurp("$_/stat") or next;
    my ($state, $parent) = $stat =~ /\) (\S) (\d+)/ or next;
    $parent{$pid} = $parent unless $state eq 'Z';
  }
  my %mine = ($self->{pid} => 1);
  my $grew = 1;
  while ($grew) {
    $grew = 0;
    for (keys %parent) {
      next if $mine{$_} or !$mine{ $parent{$_} };
      $grew = $mine{$_} = 1;
    }
  }
  return grep { exists $parent{$_} } sort { $a <=> $b } keys %mine;
}

sub children { my ($self) = @_; return grep { $_ != $self->{pid} } $self->processes }

# A process's own children, zombies too. The kernel's list may miss one while
# another is reaped, so it counts when it has been read twice.
sub children_of {
  my ($pid) = @_;
  my ($before, $now) = ('none', slurp("/proc/$pid/task/$pid/children"));
  ($before, $now) = ($now, slurp("/proc/$pid/task/$pid/children")) while $before ne $now;
  return split ' ', $now;
}

sub hup { my ($self) = @_; return kill 'HUP', $self->{pid} }

# What the daemon has open and mapped when it rests: it is busy with a SIGHUP
# for longer than a helper needs to start, and has a pipe to each session until
# that has begun.
sub belongings {
  my ($self) = @_;
  my $proc = "/proc/$self->{pid}";
  my ($last, $looks) = ('', 0);
  my %has;
  Net::wait_for(sub {
    my $maps = slurp("$proc/maps") =~ s/^.*\.profraw\n//mgr;    # of t/coverage
    %has = (
      descriptors => scalar(() = glob "$proc/fd/*"),
      # The sanitizers' allocator maps memory as it likes.
      ($ENV{SANITIZE} ? () : (mappings => scalar(() = $maps =~ /\n/g))),
      tables => scalar(() = $maps =~ /\.tab\b/g),
    );
    my $now = join ' ', slurp("$proc/stat") =~ /\) (\w)/, @has{ sort keys %has };
    $looks = $now =~ /^S/ && $now eq $last ? $looks + 1 : 0;
    $last = $now;
    return $looks == 10;
  }, 10);
  return \%has;
}

# Whether this ProFTPD refuses data connections from other addresses if
# AllowForeignAddress is not configured: up to 1.3.7c, from 1.3.9d on.
sub refuses_others {
  my ($release) = `$DAEMON -v 2>&1` =~ /Version (\S+)/;
  return $release lt '1.3.7d' || $release ge '1.3.9d';
}

# ftpdctl: exit status and what it printed. A busy daemon may close a connection
# before it has read what is asked, and at a reload does not listen for a moment:
# then it is asked again.
sub ctl {
  my ($self, @words) = @_;
  my @answer;
  for (1 .. 5) {
    @answer = $self->ctl_once(@words);
    last unless $answer[1] =~ /^error (?:sending request|contacting server)/;
    sleep 0.2;
  }
  return @answer;
}

sub ctl_once {
  my ($self, @words) = @_;
  my $pid = open(my $out, '-|') // die "fork: $!";
  if ($pid == 0) {
    open STDERR, '>&', \*STDOUT;
    exec $FTPDCTL, '-s', "$self->{dir}/run/ctrls.sock", @words or CORE::exit(127);
  }
  local $/;
  my $said = <$out> // '';
  close $out;
  return ($? >> 8, $said =~ s/^ftpdctl: //gmr);
}

# What ftpdctl prints with json as its last word, decoded; dies if it is no JSON.
sub ctl_json {
  my ($self, @words) = @_;
  require JSON::PP;
  return JSON::PP::decode_json(($self->ctl(@words, 'json'))[1]);
}

# A time of that JSON (RFC 3339, in UTC) as seconds since 1970; 0 for null.
sub seconds {
  my ($year, $month, $day, $hour, $minute, $second) = ($_[0] // return 0) =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)Z$/ or die "no time: $_[0]";
  return timegm($second, $minute, $hour, $day, $month - 1, $year);
}

# Ends the daemon and what hangs on it; with a signal of your choice.
sub stop {
  my ($self, $signal) = @_;
  my $pid = delete $self->{pid} or return;
  delete $running{ $self->{owner} }{$pid};
  local $self->{pid} = $pid;
  my @rest = $self->children;
  local $?;
  kill $signal // 'TERM', $pid;
  if (!Net::wait_for(sub { waitpid($pid, 1) != 0 }, 5)) {
    kill 'KILL', $pid;
    waitpid $pid, 0;
  }
  Janitor::forget($pid);
  return @rest;
}

# Leaves the server running when the test ends, its directory too.
sub abandon {
  my ($self) = @_;
  my $pid = delete $self->{pid};
  delete $running{ $self->{owner} }{$pid};
  Janitor::forget($pid);
  $self->{keep} = 1;
}

sub DESTROY {
  my ($self) = @_;
  return unless $$ == ($self->{owner} // 0);
  local ($?, $@);
  if ($self->{pid}) {
    my @rest = $self->stop;
    kill 'KILL', @rest if @rest;
  }
  if ($ENV{SANITIZE} and my $report = $self->sanitizer) {
    require Test::More;
    Test::More::fail('the sanitizers have nothing to report');
    Test::More::diag($report);
  }
  remove_tree($self->{dir}) unless $self->{keep} or $ENV{KEEP};
}

END { $_->DESTROY for grep { $_ } values %{ delete $running{$$} // {} } }
$SIG{INT} = $SIG{TERM} = sub { exit 130 };    # so that END runs

1;
