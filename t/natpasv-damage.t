# The table is damaged while sessions use it: written over, cut off, emptied,
# lengthened, unlinked, replaced. No session dies of it, no port is outside the
# pool nor of two sessions, and in the end all ports are there. 1,000 times
# with LONG.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use Seed;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $why = Server::unavailable();
plan skip_all => $why if $why;

my $rounds = $ENV{LONG} ? 1000 : 30;
my ($first, $last) = (30000, 30007);
my $server = Server->start(modules => ['mod_natpasv'], config => sub { <<"EOC" });
NATPasvEngine on
NATPasvTable $_[0]{dir}/run/natpasv.tab
NATPasvLog $_[0]{dir}/natpasv.log
NATPasvPool public $first-$last quarantine 1s
NATPasvRule * pool public wait 1s share any
EOC
my $path = "$server->{dir}/run/natpasv.tab";
$server->file("file$_", text => "of session $_\n") for 0 .. 8;

sub over {
  my ($at, $bytes) = @_;
  open my $table, '+<:raw', $path or return;
  seek $table, $at, 0;
  print $table $bytes;
}

sub noise { my ($size) = @_; open my $random, '<:raw', '/dev/urandom' or die $!; read $random, my ($bytes), $size; return $bytes }

# The parts of table.h, from the end of the file: what each port was last, the
# counters and since when, how many ports of a block are taken, which, the addresses that wait,
# and their order.
my $size = -s $path // 0;
my %at = (port => $size - 12 * 65536);
$at{taken} = $at{port} - 8 - 208 * 256 - 2 * 64 - 8192;
$at{turn}  = $at{taken} - 2 * 4096 - 4 * 16384;
$at{guest} = $at{turn} - 24 * 16384;

sub replace {
  my ($bytes) = @_;
  open my $file, '>:raw', "$path.new" or die $!;
  print $file $bytes;
  close $file;
  chmod 0600, "$path.new";
  rename "$path.new", $path or die $!;
}

my %damage = (
  'random bytes'        => sub { over(int rand $size, noise(1 + int rand 64)) for 1 .. 50 },
  'random blocks'       => sub { over(4096 * int rand $size / 4096, noise(4096)) for 1 .. 5 },
  'random all over'     => sub { over(0, noise($size)) },
  'a random head'       => sub { over(0, noise(24)) },
  'other owners'        => sub { over($at{port} + 12 * $first, noise(12 * ($last - $first + 1))) },
  'owners forgotten'    => sub { over($at{port} + 12 * $first, "\0" x (12 * ($last - $first + 1))) },
  'all ports taken'     => sub { over($at{taken}, "\xff" x 8192) },
  'no port taken'       => sub { over($at{taken}, "\0" x 8192) },
  'a queue of nobodies' => sub { over($at{turn}, "\xff" x (4 * 16384)) },
  'addresses of nobody' => sub { over($at{guest}, noise(24 * 16384)) },
  'one owner for all'   => sub { over($at{port}, "\x11" x (12 * 65536)) },
  'zeros'               => sub { over(0, "\0" x $size) },
  'cut to nothing'      => sub { truncate $path, 0 },
  'cut somewhere'       => sub { truncate $path, int rand $size },
  'cut by a byte'       => sub { truncate $path, $size - 1 },
  'longer'              => sub { over($size, noise(5000)) },
  'unlinked'            => sub { unlink $path },
  'replaced by noise'   => sub { replace(noise($size)) },
  'replaced by nothing' => sub { replace('') },
  'replaced by a copy'  => sub { replace(Server::slurp($path)) },
);

my $log = "$server->{dir}/natpasv.log";
my (%seen, @bad);
sub bad { my ($kind, $what) = @_; push @bad, "$kind: $what"; return }

sub client { my $client = eval { Client->connect('127.0.0.1', $server->port) } or return; return $client->login }
my @clients = map { client() } 0 .. 5;
my $served = 0;

# What a session sends is its own: the port is not another's.
sub fetch {
  my ($kind, $client, $port, $i) = @_;
  my $data = $client->data('127.0.0.1', $port, 3) or return bad($kind, "nobody listens on port $port");
  my ($code, $text) = $client->cmd("RETR file$i");
  my $bytes = join '', readline $data;
  close $data;
  ($code, $text) = $client->reply if ($code // 0) == 150;
  return $served++ if ($code // 0) == 226 and $bytes =~ /^of session $i\r?\n\z/;
  return bad($kind, "session $i: " . ($text || 'is gone') . ", '$bytes'");
}

sub port_of { my ($text) = @_; return ($text // '') =~ /,(\d+),(\d+)\)|\|(\d+)\|/ ? $3 // $1 * 256 + $2 : undef }

# Sessions that have done what they came for; they end together, because the
# daemon sleeps for 0.4 s when one does.
my @done;

my @kinds = sort keys %damage;
for my $round (0 .. $rounds - 1) {
  my $kind = $kinds[ $round % @kinds ];

  # All ask at the same time, and hold their ports; then the damage; then some
  # transfer, and others ask again.
  my (%holder, @port);
  my $ask = sub {
    my (@who) = @_;
    $clients[$_]->send($_ % 2 ? 'PASV' : 'EPSV') for @who;
    for my $i (@who) {
      delete $holder{ $port[$i] } if $port[$i];
      $port[$i] = undef;
    }
    for my $i (@who) {
      my ($code, $text) = $clients[$i]->reply;
      $seen{ $code // 'nothing' }++;
      bad($kind, "session $i: " . ($text || 'is gone')) if !$code or $code !~ /^(?:227|229|425)$/;
      my $port = port_of($text) // next;
      bad($kind, "port $port is outside") if $port < $first or $port > $last;
      bad($kind, "port $port is of sessions $i and $holder{$port}") if defined $holder{$port};
      $holder{ $port[$i] = $port } = $i;
    }
  };
  my $transfer = sub {
    for my $i (@_) {
      my $port = $port[$i] or next;
      fetch($kind, $clients[$i], $port, $i);
      delete $holder{$port};
      $port[$i] = undef;
    }
  };
  $ask->(0 .. 5);
  # Three want two ports when it happens.
  my @late = $round % 3 ? () : map { client() // () } 1 .. 3;
  $_->send('PASV') for @late;
  sleep 0.05 if @late;
  $damage{$kind}->();
  $transfer->(0, 1);
  $ask->(2, 3);
  $transfer->(2 .. 5);
  # Who waited, a session of afterwards, and the daemon.
  for my $new (@late, client() // ()) {
    my ($code, $text) = @late && $new == $late[0] && shift @late ? $new->reply : $new->cmd($round % 2 ? 'PASV' : 'EPSV');
    bad($kind, 'a new session: ' . ($text || 'is gone')) if !$code or $code !~ /^(?:227|229|425)$/;
    fetch($kind, $new, port_of($text), 8) if port_of($text);
    if (($code // 0) == 425 and $text !~ /no free port/) {
      $seen{refused}++;
      bad($kind, "refused without a log line: $text") if Server::slurp($log) !~ /error opening NATPasvTable '\Q$path\E': it is not a table/;
    }
    push @done, $new;
  }
  if ($round % 10 == 0) {
    my ($status, $said) = $server->ctl('natpasv', 'status', 'json');
    bad($kind, "status: $said") if $said !~ /^\{.*\}$|error opening .* it is not a table/s;
    $_->close for splice @done;
  }

  # Sessions that hold on to a file that is no longer there leave, and a file
  # that nobody can open is taken away, as an operator would do it.
  if ($kind =~ /unlinked|replaced/) {
    unlink $path if $kind =~ /noise/;
    push @done, @clients;
    @clients = map { client() } 0 .. 5;
  }
}

is(scalar @bad, 0, "$rounds times damaged: no session died, no port outside or of two sessions") or diag(join "\n", @bad[0 .. ($#bad < 30 ? $#bad : 30)]);
cmp_ok($served, '>', 5 * $rounds, "... $served transfers to the right session meanwhile");
diag(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
is($server->log =~ /signal (?:7|11)|STACK TRACE/ ? $& : '', '', '... nothing crashed');
like(Server::slurp($log), qr/was damaged/, '... and the log says that it happened');
$_->close for @clients, @done;

# What is left of it is no obstacle.
@clients = map { client() } $first .. $last;
my %port;
Net::wait_for(sub { %port = map { $_ => 1 } grep { $_ } map { ($_->pasv)[1] } @clients; keys %port == @clients }, 10);
is_deeply([sort keys %port], [$first .. $last], 'in the end all ports are granted');

done_testing;
