# Who may ask the modules what, by their ControlsACLs, at run time and after a
# SIGHUP; and an answer that is longer than ftpdctl takes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use ExtIP;
use IPC::Open2;
use Server;
use Test::More;

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

ExtIP::addresses();
my ($web) = ExtIP::webs('9.9.9.9');

sub acls { my ($self, $rule) = @_; return join '', map { "${_}ControlsACLs $rule\n" } qw(ExtIP NATPasv Keepalive) }
sub config {
  my ($rule) = @_;
  return sub {
    my ($self) = @_;
    return ExtIP::config($self, $web) . acls($self, $rule) . <<"EOC";
NATPasvEngine on
NATPasvTable $self->{dir}/natpasv.tab
NATPasvPool many 20000-20999
NATPasvRule * pool many
KeepaliveEngine on
EOC
  };
}

my $server = Server->start(
  bind => $ExtIP::bind, port => 2121, modules => [qw(mod_extip mod_natpasv mod_keepalive)],
  config => config('status allow user daemon'),
);
chmod 0755, "$server->{dir}/run";

# ftpdctl as a user: exit status and what it printed.
sub ask {
  my ($user, @words) = @_;
  my @answer;
  Net::wait_for(sub {
    my $said = `setpriv --reuid=$user --regid=nogroup --clear-groups $Server::FTPDCTL -s $server->{dir}/run/ctrls.sock @words 2>&1`;
    @answer = ($? >> 8, $said =~ s/^ftpdctl: //gmr);
    return $said !~ /^ftpdctl: error (?:sending|contacting)/m;
  });
  return @answer;
}

# All modules answer alike: user, what is asked, whether it is denied.
sub matrix {
  my ($when, @rows) = @_;
  for my $module (qw(extip natpasv keepalive)) {
    for (@rows) {
      my ($user, $action, $denied) = @$_;
      my ($status, $said) = ask($user, $module, $action);
      is($said =~ /^access to '$module $action' denied: see \w+ControlsACLs$/m ? 1 : 0, $denied, "$when: ftpdctl $module $action by $user is " . ($denied ? 'denied' : 'answered')) or diag $said;
    }
  }
}

ok(ExtIP::known($server, '9.9.9.9'), 'there is something to show');
my @first = (['daemon', 'status', 0], ['nobody', 'status', 1], ['root', 'status', 0]);
matrix('status for daemon', @first);
is((ask('nobody', 'natpasv', 'leases'))[1], "access to 'natpasv leases' denied: see NATPasvControlsACLs\n", '... and of other actions there is no list: root alone');
is((ask('daemon', 'extip', 'refresh'))[1], "access to 'extip refresh' denied: see ExtIPControlsACLs\n", '... also for those who may ask for the status');
like((ask('root', 'extip', 'refresh'))[1], qr/^a round begins/, '... who may');

# An access list belongs to one configuration.
$server->reconfigure(config('all allow user nobody'));
$server->hup;
ok(Net::wait_for(sub { (ask('nobody', 'keepalive', 'status'))[1] !~ /^access to/m }), 'SIGHUP with another list');
matrix('all for nobody', ['daemon', 'status', 1], ['nobody', 'status', 0], ['root', 'status', 0]);
unlike((ask('nobody', 'natpasv', 'leases'))[1], qr/^access to/, '... which is of all actions');

$server->reconfigure(config('status deny user root,nobody'));
$server->hup;
ok(Net::wait_for(sub { (ask('nobody', 'keepalive', 'status'))[1] =~ /^access to/m }), 'SIGHUP with a list of who may not');
matrix('denied to nobody and root', ['nobody', 'status', 1], ['root', 'status', 0]);

for my $module (qw(extip natpasv keepalive)) {
  my ($status, $said) = ask('root', $module, 'status');
  is($status, 0, "ftpdctl $module status ends with status 0");
  ($status, $said) = ask('root', $module, 'nothing');
  like($said, qr/^'nothing': allowed are .*\bstatus\b/m, '... and names what there is');
}

# More leases than an answer has lines.
{
  my $pid = open2(my $holds, my $holder, "$Server::BUILD/tools/natpasv-hold", "$server->{dir}/natpasv.tab", '20000-20999', 1000, $ExtIP::bind);
  is(readline $holds, "1000\n", '1,000 leases');
  my ($status, $said) = $server->ctl('natpasv', 'leases');
  is($status, 0, '... are an answer');
  is(scalar(() = $said =~ /^ *20\d{3} /mg), 900, '... of 900 lines');
  like($said, qr/^and 100 more$/m, '... which says how many are not shown');
  close $holder;
  waitpid $pid, 0;
}
ok(Net::wait_for(sub { ($server->ctl('natpasv', 'status', 'json'))[1] =~ /"leased": 0\b/ }), 'the leases of a process that is gone are gone');

done_testing;
