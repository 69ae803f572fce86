#!/usr/bin/perl
# The wall clock is set: a board without a clock of its own, a wrong server of
# time. Nothing that is known is withdrawn by that, and the sources are asked at
# once. What ExtIPMaxAge withdraws, it does by time that has passed, and says so.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'a wrong clock and the sanitizers do not go together' if $ENV{SANITIZE};
my ($library) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1' or plan skip_all => 'faketime (Debian package faketime) is missing';

ExtIP::addresses();
Net::own_mounts();
my @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
my $dir = File::Temp::tempdir('clock-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;

sub write_file { my ($path, $text) = @_; open my $f, '>', "$path.new" or die "$path: $!"; print $f $text; close $f; rename "$path.new", $path }
sub set_clock { my ($days) = @_; write_file("$dir/clock", sprintf "%+dd\n", $days) }
my %env = (LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => "$dir/clock", FAKETIME_NO_CACHE => 1, DONT_FAKE_MONOTONIC => 1);

# ProFTPD's own timers are of the wall clock: a session's would end it.
sub server {
  my ($config, %opt) = @_;
  return ExtIP::server(\@web, sub { <<"EOC" }, env => \%env, %opt);
ExtIPLog $_[0]{dir}/extip.log
TimeoutLogin 0
TimeoutIdle 0
TimeoutNoTransfer 0
TimeoutStalled 0
$config
EOC
}
sub extip_log { Server::slurp("$_[0]{dir}/extip.log") }
sub known { my ($server) = @_; return Net::wait_for(sub { extip_log($server) =~ /address is now 9\.9\.9\.9/ }, 15) }
sub report { my ($server) = @_; return $server->ctl_json('extip', 'status')->{answers}[0] }

for my $case (['400 days on', 400], ['400 days back', -400]) {
  my ($name, $days) = @$case;
  set_clock(0);
  my $server = server("ExtIPRefresh 1h\nExtIPMaxAge 1h\n");
  ok(known($server), 'the address is known');
  my $client = ExtIP::client($server)->login;
  Net::wait_for(sub { report($server)->{round_ended} }, 10) or diag 'the first round does not end';
  my $asked = $web[0]->requests;
  my $began = time;
  set_clock($days);
  is(ExtIP::announced($client), '9.9.9.9', "the clock is set $name: a session goes on announcing the address");
  is(ExtIP::announced(ExtIP::client($server)->login), '9.9.9.9', '... and so does a new one');
  ok(Net::wait_for(sub { $web[0]->requests > $asked }, 20), '... the sources are asked') or diag extip_log($server);
  note sprintf 'after %.1f s', time - $began;
  ok(Net::wait_for(sub { extip_log($server) =~ /the clock was set by [-+]34560000 s: asking again/ }, 10), '... the log says why') or diag extip_log($server);
  # ftpdctl waits for a timer of ProFTPD's, which are of the wall clock.
  $days < 0 or ok(Net::wait_for(sub { my $age = time + $days * 86400 - Server::seconds(report($server)->{confirmed}); $age >= -1 && $age < 60 }, 10), '... which confirms it, today');
  is(ExtIP::announced($client), '9.9.9.9', '... it is announced still');
  unlike(extip_log($server), qr/withdrawn/, '... and was never withdrawn');
}

# With nobody to confirm it, over a restart, and over one of the host.
{
  set_clock(0);
  my $server = server("ExtIPRefresh 1h 1s\nExtIPMaxAge 168h\n", keep => $dir);
  ok(known($server), 'the address is known');
  $_->stop for @web;
  my $client = ExtIP::client($server)->login;
  set_clock(400);
  is(ExtIP::announced($client), '9.9.9.9', 'no source, and the clock is set: the address is announced');
  ok(Net::wait_for(sub { extip_log($server) =~ /no decision/ }, 20), '... also when a round has failed') or diag extip_log($server);
  is(ExtIP::announced($client), '9.9.9.9', '... which withdraws nothing');
  $server->stop;
  $server = server("ExtIPRefresh 1h 1s\nExtIPMaxAge 168h\n", keep => $dir);
  is(ExtIP::announced(ExtIP::client($server)->login), '9.9.9.9', '... nor does a restart');
  $server->stop;

  # As after a cut of the power: another boot, and a clock that begins anew.
  write_file("$dir/boot_id", "6b0f1c52-0000-4000-8000-000000000000\n");
  system('mount', '--bind', "$dir/boot_id", '/proc/sys/kernel/random/boot_id') == 0 or die 'no boot_id of its own';
  set_clock(-4000);
  $server = server("ExtIPRefresh 1h 1s\nExtIPMaxAge 168h\n", keep => $dir);
  $client = ExtIP::client($server)->login;
  is(ExtIP::announced($client), '9.9.9.9', 'another boot, before the time at which it was confirmed: announced');
  set_clock(0);
  is(ExtIP::announced($client), '9.9.9.9', '... and when the clock is set right');
  $server->stop;
  set_clock(8);
  write_file("$dir/boot_id", "6b0f1c52-0000-4000-8000-000000000001\n");
  system('umount', '/proc/sys/kernel/random/boot_id');
  $server = server("ExtIPRefresh 1h 1s\nExtIPMaxAge 168h\n", keep => $dir);
  isnt(ExtIP::announced(ExtIP::client($server)->login), '9.9.9.9', 'another boot, a week and a day later: withdrawn');
  $server->stop;
}

# MaxAge, by time that passes.
{
  set_clock(0);
  @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  my $server = server("ExtIPRefresh 1s 1s\nExtIPMaxAge 4s\n");
  ok(known($server), 'the address is known');
  my $client = ExtIP::client($server)->login;
  # On a busy machine four seconds pass between two rounds.
  ok(Net::wait_for(sub { ExtIP::announced($client) eq '9.9.9.9' }, 10), '... and announced');
  ok(Net::wait_for(sub { ExtIP::status($server) !~ /withdrawn/ }, 10), '... as status has it');
  my $withdrawn = sub { scalar(() = extip_log($server) =~ /withdrawn/g) };
  my $before = $withdrawn->();
  $_->stop for @web;
  ok(Net::wait_for(sub { $withdrawn->() > $before && extip_log($server) =~ /9\.9\.9\.9 was not confirmed for 4 s: withdrawn \(ExtIPMaxAge\)/ }, 15), 'no source any more: the log says when it is withdrawn')
    or diag extip_log($server);
  is(ExtIP::announced($client), $ExtIP::bind, '... and it is not announced');
  like(ExtIP::status($server), qr/^  address     9\.9\.9\.9, withdrawn: not confirmed for \d+ s \(ExtIPMaxAge 4 s\)$/m, '... status says so');
  is(report($server)->{withdrawn}, JSON::PP::true, '... in JSON, too');
  my $failures = report($server)->{failures};
  ok(Net::wait_for(sub { report($server)->{failures} >= $failures + 2 }, 15), '... two more rounds fail');
  is($withdrawn->(), $before + 1, '... the log says it once');
  @web = ExtIP::webs('9.9.9.9', '9.9.9.9');
  ok(Net::wait_for(sub { extip_log($server) =~ /9\.9\.9\.9 confirmed after \d+ rounds without a decision, and announced again/ }, 10), 'the sources are back: the log says so')
    or diag extip_log($server);
  ok(Net::wait_for(sub { ExtIP::announced($client) eq '9.9.9.9' }, 10), '... and it is announced');
  ok(Net::wait_for(sub { !report($server)->{withdrawn} }, 10), '... as status has it');
}

done_testing;
