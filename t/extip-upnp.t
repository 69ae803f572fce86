# extip-upnp, the program that speaks UPnP: with miniupnpd in the laboratory,
# and with a router that does all that others do.

use strict;
use warnings;
use BadIGD;
use IPC::Open2;
use Net;
use Router;
use Server;
use Test::More;
use Time::HiRes qw(time);

my $program = "$Server::BUILD/extip-upnp";
plan skip_all => 'this build has no extip-upnp: libminiupnpc was missing' unless -x $program;
if (my $reason = Router::unavailable()) {
  plan skip_all => $reason;
}

# A process of it for a router; ask() returns its answer, or undef at its end.
package Asking {
  sub new {
    my ($class, $router, $netns) = @_;
    my $pid = IPC::Open2::open2(my $out, my $in, Net::prefix($netns), $program, $router);
    $in->autoflush(1);
    return bless { pid => $pid, in => $in, out => $out }, $class;
  }
  sub request { my ($self, $request) = @_; print { $self->{in} } "$request\n"; return $self }
  sub answer { my ($self) = @_; my $answer = readline $self->{out}; return defined $answer ? $answer =~ s/\n\z//r : undef }
  sub ask { my ($self, $request) = @_; return $self->request($request)->answer }
  sub DESTROY { my ($self) = @_; local $?; close $self->{in}; waitpid $self->{pid}, 0 }
}

# A lifetime is what is left of it.
sub asks {
  my ($asking, @cases) = @_;
  for (@cases) {
    my ($request, $answer, $name) = @$_;
    my $pattern = $answer =~ s/ 3600/ 3(?:600|5\\d\\d)/r =~ s/ 604800/ 604(?:800|7\\d\\d)/r;
    like($asking->ask($request), qr/^$pattern$/, $name // "$request: $answer");
  }
}

# miniupnpd
{
  my $lab = Router->new(natpmp => 0);
  my $asking = Asking->new(Router::GATEWAY, $lab->ns('server'));
  asks($asking,
    ['where', 'address 9.9.9.7'],
    ['get 61000', 'none 61000'],
    ['map 61000 61000 3600', 'mapped 61000 61000 3600'],
    ['map 61000 61000 3600', 'mapped 61000 61000 3600', '... is renewed'],
    ['map 61000 61001 3600', 'error 718', 'a port that another port of this host has is left to it'],
    ['map 61002 61003 0', 'mapped 61002 61003 604800', 'no lifetime becomes a week'],
    ['get 61002', 'entry 61002 61003 604800 192.168.1.10']);
  is(join(' ', map { "$_->{outer}-$_->{host}:$_->{inner}" } $lab->rules), '61000-192.168.1.10:61000 61002-192.168.1.10:61003', '... as the rules of the router show');

  my $other = Asking->new(Router::GATEWAY, $lab->ns('lan'));
  asks($other,
    ['map 61000 61000 3600', 'error 718', 'a port that another host has is left to it'],
    ['unmap 61000 61000', 'error 718', '... and not deleted']);
  asks($asking,
    ['unmap 61000 61001', 'error 718', '... nor is one of another port'],
    ['unmap 61000 61000', 'unmapped 61000 61000'],
    ['unmap 61000 61000', 'unmapped 61000 61000', '... once more']);

  $lab->restart_router;
  asks($asking, ['get 61002', 'none 61002', 'a router that has restarted is found again']);
  $lab->change_address('100.64.3.3');
  # The miniupnpd of Debian 13 tells it.
  like($asking->ask('where'), qr/^(?:error 501|address 100\.64\.3\.3)$/, 'behind another NAT it has no address, or one that is not public');
  $lab->stop_router;
  is($asking->ask('where'), 'error 3', 'a router that has gone gives no answer');
  is($asking->ask('where'), 'error 1', '... and is not found');
}

# Whatever a router does.
Net::private();
system('ip route add 239.0.0.0/8 dev lo') == 0 or die 'no route for multicast';
my $igd = BadIGD->start;

# What takes long is asked for first: a search, and an answer that never ends.
my $lost = Asking->new('127.0.0.3')->request('where');
my ($slow, $began);
if ($ENV{LONG}) {
  $igd->does(fault => 'drips');
  ($slow, $began) = (Asking->new('127.0.0.2')->request('where'), time);
  ok(Net::wait_for(sub { $igd->actions }), 'a router that begins to answer');
  $igd->does;
}
my $asking = Asking->new('127.0.0.2');
asks($asking,
  ['where', 'address 9.9.9.7', 'the scripted router: its address'],
  ['map 61000 61000 3600', 'mapped 61000 61000 3600', '... a mapping'],
  (map { [$_, 'error 6', "'$_' is no request"] } '', 'map', 'map 0 1 2', 'map 61000 61000 -1', 'address 1.2.3.4', 'where now'));
$igd->hold(61001, '127.0.0.9');

for (
  [{ error => { AddPortMapping => 501 } }, 'map 61002 61002 3600', 'error 501', 'an error is passed on'],
  [{ error => { AddPortMapping => 718 } }, 'map 61002 61002 3600', 'error 718', '... another one'],
  [{ error => { GetExternalIPAddress => 606 } }, 'where', 'error 606', '... of the address'],
  [{ fault => 'agrees' }, 'map 61002 61002 3600', 'error 5', 'a mapping that is not made'],
  [{ fault => 'replaces' }, 'map 61001 61001 3600', 'error 718', 'the mapping of another host is not replaced'],
  [{ outside => '' }, 'where', 'error 501', 'no address at all'],
  [{ outside => '0.0.0.0' }, 'where', 'error 501', '... or 0.0.0.0'],
  [{ outside => '9.9.9.7 ' }, 'where', 'error 4', 'an address with a blank'],
  [{ outside => 'fe80::1' }, 'where', 'error 4', '... of IPv6'],
  [{ outside => '9' x 60 }, 'where', 'error 4', '... too long'],
  [{ fault => 'garbage' }, 'map 61002 61002 3600', 'error 4', 'an answer that is none'],
  [{ permanent => 1 }, 'map 61003 61003 3600', 'mapped 61003 61003 0', 'a router that takes no lifetime'],
) {
  my ($does, $request, $answer, $name) = @$_;
  $igd->does(%$does);
  is($asking->ask($request), $answer, $name);
}
is((grep { /^Add/ } $igd->actions)[-1], 'AddPortMapping 61003 61003 0', '... is asked without one');
is($asking->ask('map 61004 61004 3600'), 'mapped 61004 61004 0', '... and from then on at once');
is((grep { /^Add/ } $igd->actions)[-2], 'AddPortMapping 61003 61003 0', '... without a second request');
is(join(' ', map { "$_->{outer}-$_->{host}" } $igd->rules), '61000-127.0.0.1 61001-127.0.0.9 61003-127.0.0.1 61004-127.0.0.1', 'what it forwards now');

for (['second', 'address 9.9.9.7', 'the second of two connections'], ['nothing', 'error 2', 'a router without a connection'],
  ['elsewhere', 'error 2', 'a description that names another host'], ['location', 'error 1', 'an answer to the search that names another host']) {
  my ($fault, $answer, $name) = @$_;
  $igd->does(fault => $fault);
  is(Asking->new('127.0.0.2')->ask('where'), $answer, $name);
}
is($lost->answer, 'error 1', 'another router than the gateway does not count');

if ($ENV{LONG}) {
  $igd->does(fault => 'hangs');
  is($asking->ask('where'), 'error 3', 'a router that does not answer');
  is($slow->answer, undef, 'a router that does not end its answer: the process ends');
  cmp_ok(time - $began, '<', Limits::of(12), '... not late');
}

# It runs without any privilege.
my $status = Server::slurp("/proc/$asking->{pid}/status");
like($status, qr/^Cap\w+:\s+0+$/m, 'it has no capabilities');
unlike($status, qr/^Cap\w+:\s+0*[1-9a-f]/m, '... none at all');
like($status, qr/^NoNewPrivs:\s+1/m, '... and gains none');

done_testing;
