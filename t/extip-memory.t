#!/usr/bin/perl
# What mod_extip remembers over restarts, and what it does not believe.

use strict;
use warnings;
use Net 'private';
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use File::Temp ();
use Test::More;
use Time::HiRes qw(sleep time);

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}

ExtIP::addresses();
my $dir = File::Temp::tempdir('proftpd-test-memory-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $table = "$dir/state/extip.tab";
my @web = ExtIP::webs('9.9.9.9');
my $server;

# The same directory and table each time, with a log of its own.
sub restart {
  my ($config) = @_;
  $server->stop if $server;
  unlink "$dir/log", "$dir/stderr";
  return $server = ExtIP::server(\@web, "MasqueradeAddress 1.2.3.4\nExtIPRefresh 2s 1s\n" . ($config // ''), keep => $dir);
}

sub announced { my $client = ExtIP::client($server)->login; my $address = ExtIP::announced($client); $client->quit; return $address }

# The helper says it, a moment later.
sub says { my ($what, $sentence) = @_; return ok(Net::wait_for(sub { ExtIP::log($server) =~ $what }, 10), $sentence) || diag ExtIP::log($server) }

sub change_file {
  my ($code) = @_;
  $server->stop;
  open my $file, '+<:raw', $table or die "$table: $!";
  $code->($file);
  close $file;
}

restart();
ok(ExtIP::known($server, '9.9.9.9'), 'an address is found');
$web[0]->stop;

restart();
is(announced(), '9.9.9.9', 'after a restart it is known, though no source answers');
$server->stop('KILL');
restart();
is(announced(), '9.9.9.9', '... and after a crash');
unlike(ExtIP::log($server), qr/ExtIPTable/, '... without a remark on the table');

# One damaged byte; both copies; all else that can happen to a file.
change_file(sub { my ($f) = @_; seek $f, 4096 + 20, 0; print $f 'x' });
restart();
is(announced(), '9.9.9.9', 'one copy of the answer damaged: the other is used');

my $whole = Server::slurp($table);
for my $case (
  ['both copies damaged',  sub { my ($f) = @_; for my $copy (0, 1) { seek $f, 4096 + 288 * $copy + 20, 0; print $f 'x' } }, qr/is damaged: renamed to/],
  ['the head damaged',     sub { my ($f) = @_; seek $f, 16, 0; print $f 'x' }, qr/is damaged in its header: renamed to/],
  ['cut to half',          sub { my ($f) = @_; truncate $f, 5000 }, qr/is of the wrong size: renamed to/],
  ['empty',                sub { my ($f) = @_; truncate $f, 0 }, qr/is too short: renamed to/],
  ['another file',         sub { my ($f) = @_; print $f "something else\n" x 10 }, qr/is not a table of mod_extip: renamed to/],
  ['of a later version',   sub { my ($f) = @_; seek $f, 8, 0; print $f pack 'L', 3 }, qr/is of another version: renamed to/],
) {
  my ($name, $code, $says) = @$case;
  $server->stop;
  open my $file, '>:raw', $table or die $!;
  print $file $whole;
  close $file;
  unlink "$table.aside";
  change_file($code);
  restart();
  says($says, "a table that is $name: the log says so");
  ok(-e "$table.aside", '... and kept beside the new one');
  my $known = $name =~ /cut/ ? '9.9.9.9' : '1.2.3.4';
  is(announced(), $known, '... ' . ($known eq '1.2.3.4' ? 'and not believed' : 'and what was whole in it is used'));
}

# Truncated while everybody uses it.
{
  $server->stop;
  open my $file, '>:raw', $table or die $!;
  print $file $whole;
  close $file;
  restart();
  my $client = ExtIP::client($server)->login;
  is(ExtIP::announced($client), '9.9.9.9', 'the whole table is believed again');
  truncate $table, 0;
  is(ExtIP::announced($client), '9.9.9.9', 'cut off under a session: it does not matter');
  ok(Net::wait_for(sub { (-s $table // 0) == length $whole }, 10), '... and is repaired with the next round');
  my ($exit) = $server->ctl('extip', 'status');
  is($exit, 0, '... and so does the daemon');
  $server->stop;
  open $file, '>:raw', $table or die $!;
  print $file $whole;
  close $file;
}

# ExtIPMaxAge
restart("ExtIPMaxAge 1h\n");
is(announced(), '9.9.9.9', 'younger than ExtIPMaxAge: announced');
restart("ExtIPMaxAge 1s\n");
ok(Net::wait_for(sub { announced() eq '1.2.3.4' }, 5), 'older: MasqueradeAddress takes its place');
restart("ExtIPMaxAge 1s\n");
is(announced(), '1.2.3.4', '... also after a restart');
@web = ExtIP::webs('9.9.9.9');
ok(Net::wait_for(sub { announced() eq '9.9.9.9' }, 10), '... until it is confirmed');
$web[0]->stop;

# What was found under another configuration
restart("ExtIPBind 127.0.0.1\n");
ok(Net::wait_for(sub { announced() eq '1.2.3.4' }, 5), 'found through another uplink: forgotten');
says(qr/forgetting 9\.9\.9\.9, the configuration has changed/, '... as the log says');
@web = ExtIP::webs('10.1.2.3');
restart("ExtIPOptions AllowReserved\n");
ok(ExtIP::known($server, '10.1.2.3'), 'a private address with AllowReserved');
restart();
ok(Net::wait_for(sub { announced() eq '1.2.3.4' }, 5), '... is forgotten without it');

# Where others may write
@web = ExtIP::webs('9.9.9.9');
chmod 0777, "$dir/state";
restart();
says(qr/ExtIPTable '\Q$table\E' cannot be used.*directory '\S+' \(owner 0, mode 0777\) is writable by others than root/,
  'a directory where others may write is refused');
ok(ExtIP::known($server, '9.9.9.9'), '... but the address is found');
is(announced(), '9.9.9.9', '... and announced');

$server->stop;
done_testing;
