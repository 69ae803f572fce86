#!/usr/bin/perl
# No memory for what the modules share with their sessions: the log says so, once
# each, ftpdctl does, and clients are served without.

use strict;
use warnings;
use Net 'private';
use Client;
use Server;
use Test::More;

if (my $reason = Server::unavailable()) {
  plan skip_all => $reason;
}
plan skip_all => 'the sanitizers need address space' if $ENV{SANITIZE};

my $server = Server->start(port => 4021, modules => [qw(mod_extip mod_natpasv mod_keepalive mod_no_memory)], config => sub { <<"EOC" });
ExtIPEngine on
ExtIPTable none
ExtIPLog $_[0]{dir}/extip.log
ExtIPSource http://127.0.0.2:1/
NATPasvEngine on
NATPasvTable none
NATPasvLog $_[0]{dir}/natpasv.log
NATPasvPool public 5000-5099
NATPasvRule * pool public
KeepaliveEngine on
KeepaliveLog $_[0]{dir}/keepalive.log
KeepaliveRule * method reply interval 1s
EOC
ok(Net::wait_for(sub { Server::slurp("/proc/@{[$server->pid]}/limits") =~ /^Max address space +unlimited/m }, 10), 'the daemon runs, and has memory for the rest');

for my $case (
  ['extip', 'no memory to share with sessions: Cannot allocate memory; no source will be asked', 'ExtIPEngine is off, there is no ExtIPSource, or there was no memory (see the log)'],
  ['natpasv', 'no memory for the table of leases: Cannot allocate memory; no session can have a port from a pool', 'the table of leases is not available'],
  ['keepalive', "no memory to share with sessions: Cannot allocate memory; 'ftpdctl keepalive status' will not show them",
    'KeepaliveEngine is off, or there was no memory (see the log)'],
) {
  my ($name, $logged, $said) = @$case;
  my $log = Server::slurp("$server->{dir}/$name.log") . $server->log;
  is(scalar(() = $log =~ /\Q$logged\E$/mg), 1, "mod_$name: the log says it once") or diag $log;
  my ($status, $answer) = $server->ctl($name, 'status');
  is($answer =~ s/^ftpdctl: //r =~ s/\n\z//r, $said, '... and ftpdctl');
}

my $client = Client->connect('127.0.0.1', $server->port)->login;
is(($client->cmd('PASV'))[0], 425, 'PASV is refused: there is no port outside the pool');
$server->file('down', size => 100_000);
is(($client->cmd('STAT'))[0], 211, '... and the session goes on');
$client->quit;
unlike($server->log, qr/STACK TRACE|terminating \(signal/, 'nobody was killed');

# Memory is there again at the next reload.
$server->hup;
ok(Net::wait_for(sub { ($server->ctl($_, 'status'))[1] !~ /no memory|not available/ }, 10), "a reload with memory: mod_$_ has what it shares") for qw(natpasv extip keepalive);
is((Client->connect('127.0.0.1', $server->port)->login->cmd('PASV'))[0], 227, '... and PASV is answered');
$server->stop;
done_testing;
