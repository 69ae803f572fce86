# What ftpdctl shows of the three modules: to people, as JSON, as metrics; who
# may ask; and that the alerts, the dashboard and the script which writes the
# metrics to a file fit them.

use strict;
use warnings;
use Net 'private';
use Client;
use File::Temp qw(tempdir);
use JSON::PP ();
use Nginx;
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

my @prefixes = qw(extip natpasv keepalive);
my $time     = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
my $dir      = tempdir(CLEANUP => 1);

sub have { my ($program) = @_; return grep { -x "$_/$program" } split /:/, $ENV{PATH} }

my @web    = map { Nginx->start(host => "127.0.0.$_", port => 8080, answer => '203.0.113.9') } 2, 3;
my $sources = join '', map { 'ExtIPSource ' . $_->uri . "\n" } @web;
my $server = Server->start(modules => [(map { "mod_$_" } @prefixes), 'mod_echo_test'], config => sub { <<"EOC" });
ExtIPEngine on
ExtIPTable none
${sources}ExtIPSource http://127.0.0.4:8080/a-path-that-is-so-long-that-the-line-of-this-source-has-to-be-broken-twice/at-least
ExtIPOptions AllowReserved
NATPasvEngine on
NATPasvPool a-pool-whose-name-is-31-letters 30000-30019
NATPasvPool unused 30020-30029
NATPasvRule * pool a-pool-whose-name-is-31-letters
KeepaliveEngine on
ControlsMaxClients 60
EOC
Net::wait_for(sub { ($server->ctl('extip', 'status'))[1] =~ /203\.0\.113\.9/ }, 15) or diag $server->log;
$server->file('down', size => 1000);
my @clients = map { Client->connect('127.0.0.1', $server->port)->login } 1, 2;
$_->retr('down') for @clients;
$clients[0]->pasv;

# To people: the lines as ftpdctl prints them.
for my $action ((map { "$_ status" } @prefixes), 'natpasv leases') {
  my @lines = split /\n/, ($server->ctl(split ' ', $action))[1];
  ok(@lines > 1, "$action says something");
  is_deeply([grep { length() + length('ftpdctl: ') > 100 } @lines], [], '... in at most 100 columns');
}

# As JSON: one schema.
my %report;
for my $prefix (@prefixes) {
  my $report = $report{$prefix} = $server->ctl_json($prefix, 'status');
  is($report->{module}, "mod_$prefix", "$prefix status json: one object that tells the module");
  like($report->{version}, qr/^\d+\.\d/, '... its version');
  like($report->{since}, $time, '... and since when it counts');
  my %key;
  my @values = $report;
  while (my $value = shift @values) {
    if (ref $value eq 'HASH') { $key{$_} = $value->{$_} for keys %$value }
    push @values, grep { ref } ref $value eq 'HASH' ? values %$value : ref $value eq 'ARRAY' ? @$value : ();
  }
  is_deeply([grep { /ms$|_seconds$/ } keys %key], [], '... seconds are seconds, and end in _s');
  is_deeply([grep { !ref $key{$_} && ($key{$_} // '') =~ /^1\d{9}$/ } keys %key], [], '... no time is a number');
}
my $answer = $report{extip}{answers}[0];
is($answer->{address}, '203.0.113.9', 'extip: the address');
like($answer->{$_}, $time, "... $_") for qw(since confirmed round_ended);
cmp_ok($answer->{sources}[0]{latency_s}, '<', 5, '... a source with its latency');
is($answer->{sources}[2]{answered}, undef, '... null for what never was');
is($report{natpasv}{pools}[0]{granted}, 3, 'natpasv: ports granted');
is($report{keepalive}{logged_in}, 2, 'keepalive: sessions');
my $leases = $server->ctl_json('natpasv', 'leases');
is($leases->{leased}, 1, 'natpasv leases json: their number');
is($leases->{leases}[0]{client}, '127.0.0.1', '... and each');
ok($leases->{leases}[0]{age_s} >= 0 && $leases->{leases}[0]{pid} > 1, '... with its age and process');
SKIP: {
  skip 'jq is missing', scalar @prefixes unless have('jq');
  for my $prefix (@prefixes) {
    my $file = $server->write_file("$prefix.json", ($server->ctl($prefix, 'status', 'json'))[1]);
    is(`jq -r .module $file`, "mod_$prefix\n", "$prefix status json: jq takes it");
  }
}

# As metrics. FILE is what node_exporter would read.
my $file = "$dir/proftpd-nat.prom";
my $metrics = 'debian/monitoring/metrics';
$ENV{PATH} = join ':', $Server::FTPDCTL =~ s{/[^/]+$}{}r, $ENV{PATH};
is(system($metrics, $file, '-s', "$server->{dir}/run/ctrls.sock"), 0, 'the script writes a file of metrics');
my $text = Server::slurp($file);
is_deeply([glob "$dir/*"], [$file], '... and nothing beside it');
my (%type, %sample, @wrong, $last);
for (split /\n/, $text) {
  if (/^# HELP (\w+) [A-Z0-9].*\.$/) { $last = $1; push @wrong, "$1 is told twice" if $type{$1} }
  elsif (/^# TYPE (\w+) (counter|gauge)$/ && $1 eq $last) { $type{$1} = $2 }
  elsif (/^((\w+)(?:\{\w+="(?:[^"\\\n]|\\["\\])*"(?:,\w+="(?:[^"\\\n]|\\["\\])*")*\})?) -?[\d.]+$/ && $2 eq $last) {
    push @wrong, "$1 is there twice" if $sample{$1}++;
  }
  else { push @wrong, $_ }
}
is_deeply(\@wrong, [], '... each line is one of the format, each sample follows its metric, once');
is_deeply([grep { ($type{$_} eq 'counter') != /_total$/ } sort keys %type], [], '... counters end in _total, and nothing else does');
is_deeply([grep { !/^proftpd_(?:extip|natpasv|keepalive|nat)_/ || /_ms|milli|minutes|latency$/ } sort keys %type], [], '... names and units are as Prometheus has them');
like($text, qr/^proftpd_nat_up\{module="mod_$_"\} 1$/m, "... mod_$_ answered") for @prefixes;
like($text, qr/^proftpd_extip_source_up\{server="[^"]+",source="http:[^"]+",position="3"\} 0$/m, '... a source that is silent');
like($text, qr/^proftpd_natpasv_ports_granted_total\{pool="unused",class=""\} 0$/m, '... a pool that nobody has used');
SKIP: {
  skip 'promtool (Debian package prometheus, 96 MB) is missing', 2 unless have('promtool');
  is(`promtool check metrics < $file 2>&1`, '', 'promtool check metrics has nothing to say');
  like(`promtool check rules debian/monitoring/alerts.yml 2>&1`, qr/SUCCESS: \d+ rules found/, 'promtool check rules takes the alerts');
}

# Each expression names metrics that exist. node_exporter has the age of files.
my %known = map { $_ => 1 } keys %type, 'node_textfile_mtime_seconds';
for my $path ('debian/monitoring/alerts.yml', 'debian/monitoring/dashboard.json') {
  my $content = Server::slurp($path);
  my @named = $content =~ /\b((?:proftpd|node)_\w+)/g;
  cmp_ok(scalar @named, '>', 15, "$path names metrics");
  is_deeply([grep { !$known{$_} } @named], [], '... all of which exist');
  ok($path !~ /json$/ || JSON::PP::decode_json($content), '... and is JSON');
}

# Who asks wrongly, or may not ask.
my %answers = (
  'extip status xml' => "'xml': allowed are json, prometheus or nothing",
  'extip refresh now' => "'now': allowed are no words",
  'extip' => 'a word is missing: expected check, forwards, refresh, status',
  'natpasv leases prometheus' => "'prometheus': allowed are json or nothing",
  'natpasv export json' => "'json': allowed are haproxy, nginx, nftables, kubernetes, compose, traefik",
  'natpasv status json json' => "'json': allowed are json, prometheus or nothing",
  'keepalive stats' => "'stats': allowed are status",
);
for my $words (sort keys %answers) {
  my (undef, $said) = $server->ctl(split ' ', $words);
  is($said =~ /^(.*)$/m ? $1 : '', $answers{$words}, "ftpdctl $words: what is allowed");
}
my %directive = (extip => 'ExtIP', natpasv => 'NATPasv', keepalive => 'Keepalive');
for my $prefix (@prefixes) {
  my $nobody = join ' ', map { "--$_" } 'reuid=' . Server::uid(), 'regid=' . Server::gid(), 'clear-groups';
  my $said = `setpriv $nobody $Server::FTPDCTL -s $server->{dir}/run/ctrls.sock $prefix status 2>&1`;
  like($said, qr/^ftpdctl: access to '$prefix status' denied: see $directive{$prefix}ControlsACLs$/m, "$prefix status: another user is told the directive");
}

# Often: 10,000 times with LONG. The daemon answers once a second, so fifty ask at
# a time. ProFTPD itself keeps some of each request and answer: as much as when a
# module without a state says the same lines.
my $at_once = $ENV{LONG} ? 50 : 10;
my $times = $ENV{LONG} ? 10_000 : $ENV{SANITIZE} ? 10 : 50;
my $socket = "$server->{dir}/run/ctrls.sock";

sub ask {
  my ($often, @requests) = @_;
  my ($n, $before, $after) = (0, usage());
  for (1 .. $often / $at_once) {
    my @asks = map { "$Server::FTPDCTL -s $socket " . $requests[$n++ % @requests] } 1 .. $at_once;
    system('(' . join(' & ', @asks, 'wait') . ') >/dev/null 2>&1');
  }
  $after = usage();
  return { map { $_ => $after->{$_} - $before->{$_} } keys %$after };
}

my @status = map { my $module = $_; map { "$module status $_" } '', 'json', 'prometheus' } @prefixes;
ask(2 * $at_once, @status);    # what is allocated once
my @same = map { 'echo ' . $server->write_file(tr/ /-/r, ($server->ctl(split))[1]) } @status;
ask(2 * $at_once, @same);
my $stock = ask($times, @same);
my $ours = ask($times, @status);
note "KiB: $ours->{kb} for the status, $stock->{kb} for the same lines";
cmp_ok($ours->{kb}, '<=', 64 + $stock->{kb}, "$times calls cost the daemon no more memory than as many that say the same")
  unless $ENV{SANITIZE};    # they keep what is freed
is($ours->{fds}, 0, "$times calls cost the daemon no descriptor");
cmp_ok($ours->{ticks} * 10 / $times, '<', 20, '... and each takes less than 20 ms of its time')
  unless $ENV{SANITIZE};

sub usage {
  my $proc = '/proc/' . $server->pid;
  my ($kb) = Server::slurp("$proc/status") =~ /^RssAnon:\s+(\d+)/m;
  my @stat = split ' ', Server::slurp("$proc/stat") =~ s/.*\) //sr;
  return { kb => $kb // 0, fds => scalar(() = glob "$proc/fd/*"), ticks => $stat[11] + $stat[12] };
}

# A daemon that is not there: a file that says so.
$server->stop;
is(system($metrics, $file, '-s', $socket), 0, 'no daemon: the script writes a file');
is_deeply([sort { $a cmp $b } Server::slurp($file) =~ /^proftpd.* (\d)$/mg], [0, 0, 0], '... in which no module answers');

done_testing;
