# Reply by reply against stock ProFTPD: the same sequences of commands to a
# server with PassivePorts, to one that keeps them and turns the engine on, and
# to one with a rule and a pool. Replies, bytes of data connections and log
# lines are compared; what is meant to differ is listed at the end, and has to.
# AllowForeignAddress off, with which a stranger ends stock's transfer and not
# ours, is in natpasv-strangers.t.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Net 'private';
use Client;
use IO::Socket::IP;
use JSON::PP;
use POSIX ();
use Server;
use Stock;
use Test::More;
use Time::HiRes qw(sleep);

my $why = Server::unavailable();
plan skip_all => $why if $why;
plan skip_all => 'addresses of its own need a network namespace' unless Net::private();

my %from = (partner => '198.51.100.7', public => '203.0.113.9', six => '2001:db8::6');
system('ip', 'addr', 'add', "$_/32", 'dev', 'lo') for @from{qw(partner public)}, '192.0.2.5';
my $six = system('ip -6 addr add 2001:db8::5/128 dev lo nodad; ip -6 addr add 2001:db8::6/128 dev lo nodad') == 0;
$six or diag('no IPv6 here');

my @variants = qw(stock keep pool);
my @optional = grep { Server::has_module($_) } 'mod_deflate';

# The passive ports of a section: what they are called in transcripts, and
# their number from a base that each server has for itself.
my %ports = (first => [0, 499], second => [1000, 1499], one => [2000, 2001]);    # of which one is in use
my $base;

sub passive {
  my ($variant, $ports) = @_;
  my ($from, $to) = map { $_ + $base } @{ $ports{$ports} };
  return "NATPasvRule * pool $ports wait 0s share any\n" if $variant eq 'pool';
  # A client alone has no more than its share of the one port.
  return "PassivePorts $from $to\n" . ($variant eq 'keep' && $ports eq 'one' ? "NATPasvRule * share any\n" : '');
}

sub port_name {
  my ($port) = @_;
  my $offset = $port - $base;
  my ($name) = grep { $offset >= $ports{$_}[0] && $offset <= $ports{$_}[1] } sort keys %ports;
  return $name // 'any';
}

# Virtual hosts by name: address, configuration, with @first@ and so on for
# passive ports.
my %host = (
  main   => ['127.0.0.1', '@first@'],
  masq   => ['127.0.0.2', "\@first\@MasqueradeAddress 192.0.2.1\n"],
  nopasv => ['127.0.0.3', "\@first\@ServerIdent off\n<Limit PASV>\nDenyAll\n</Limit>\n"],
  noepsv => ['127.0.0.4', "\@first\@DisplayLogin \@dir\@/welcome\n<Limit EPSV>\nDenyAll\n</Limit>\n<Limit STOR>\nDenyAll\n</Limit>\n"],
  anon   => ['127.0.0.5', <<'EOC'],
@first@<Anonymous @dir@/home>
User ftp
Group nogroup
UserAlias anonymous ftp
RequireValidShell off
<Limit PASV EPSV>
DenyAll
</Limit>
</Anonymous>
EOC
  class  => ['127.0.0.6', "\@first\@<Limit PASV>\nDenyClass partners\n</Limit>\n"],
  fxp    => ['127.0.0.7', "\@first\@AllowForeignAddress on\n"],
  tls    => ['127.0.0.8', "\@first\@\@tls\@"],
  ifs    => ['127.0.0.9', <<'EOC'],
@first@<IfClass partners>
@second@MasqueradeAddress 192.0.2.9
</IfClass>
<IfUser denied>
<Limit PASV>
DenyAll
</Limit>
</IfUser>
<IfUser other>
@second@</IfUser>
EOC
  over   => ['127.0.0.10', "\@first\@AllowOverride on\n<Directory \@dir\@/home>\nAllowOverride on\n</Directory>\n"],
  one    => ['127.0.0.11', '@one@'],
  slow   => ['127.0.0.12', "\@first\@UseSendfile off\n"],
  silent => ['127.0.0.14', "\@first\@TimeoutNoTransfer 3\n"],
  vip    => ['192.0.2.5', '@first@'],
  named  => ['127.0.0.1', "ServerAlias named.example\n\@second\@MasqueradeAddress 192.0.2.8\n"],
  tight  => ['127.0.0.1', "ServerAlias denied.example\n\@second\@<Limit PASV>\nDenyAll\n</Limit>\n"],
  six    => ['2001:db8::5', '@first@'],
);

# One section, as the main server or a virtual host.
sub section {
  my ($server, $variant, $name) = @_;
  my ($address, $config) = @{ $host{$name} };
  my $tls = $name eq 'tls' ? Server::tls() : '';
  my $engine = $variant eq 'stock' ? '' : "NATPasvEngine on\n";
  $config =~ s/\@(first|second|one)\@/passive($variant, $1)/ge;
  $config =~ s/\@dir\@/$server->{dir}/g;
  $config =~ s/\@tls\@/$tls/;
  return <<"EOC";
Port $server->{port}
ServerName $name
AuthUserFile $server->{dir}/passwd
AuthOrder mod_auth_file.c
RequireValidShell off
AllowOverwrite on
AllowStoreRestart on
AllowRetrieveRestart on
TransferLog $server->{dir}/xfer
ExtendedLog $server->{dir}/wire ALL wire
<IfModule mod_deflate.c>
DeflateEngine on
</IfModule>
$engine$config
EOC
}

# A server: how it listens, which variant.
sub server {
  my ($listening, $variant, @names) = @_;
  my $first = shift @names;
  my @modules = (qw(mod_tls mod_ifsession), @optional, $variant eq 'stock' ? () : 'mod_natpasv');
  @names = grep { $_ ne 'six' } @names if !$six;
  my $server = Server->new(port => $base - 1, modules => \@modules, base => "$listening\n", config => sub {
    my ($self) = @_;
    my $text = <<"EOC";
User nobody
Group nogroup
UseReverseDNS off
MaxInstances none
WtmpLog off
DelayEngine off
DefaultAddress $host{$first}[0]
TimesGMT on
LogFormat wire "%r|%s|%S"
<Class partners>
From $from{partner}
</Class>
EOC
    $text .= "NATPasvTable $self->{dir}/run/natpasv.tab\n" if $variant ne 'stock';
    if ($variant eq 'pool') {
      for my $name (sort keys %ports) {
        my ($from, $to) = map { $_ + $base } @{ $ports{$name} };
        $text .= "NATPasvPool $name $from-$to\n";
      }
    }
    $text .= section($self, $variant, $first);
    $text .= "<VirtualHost $host{$_}[0]>\n" . section($self, $variant, $_) . "</VirtualHost>\n" for @names;
    return $text;
  });
  my ($account) = Server::slurp("$server->{dir}/passwd");
  $server->write_file('passwd', join '', map { $account =~ s/^ftp:/$_:/r } qw(ftp other denied));
  $server->write_file('welcome', "welcome\n", 0644);
  $server->file('hello', text => "hello\nworld\n");
  $server->file('big', size => 8 << 20);
  mkdir "$server->{dir}/home/closed";
  $server->file('closed/.ftpaccess', text => "<Limit PASV EPSV>\nDenyAll\n</Limit>\n");
  utime 1e9, 1e9, "$server->{dir}/home/$_" for qw(hello big closed/.ftpaccess closed);
  # PassivePorts cannot be one port alone.
  $server->{stranger} = IO::Socket::IP->new(LocalHost => $host{one}[0], LocalPort => $base + 2001, Listen => 1) or die $@;
  return $server->run;
}

# One session, or two, going through the steps. A step is a command, or
#   1: or 2: before a command   which session it is of
#   @send ...            the command, without its reply
#   @pipe ...;...        commands in one packet, with all their replies
#   @reply               one more reply
#   @connect [address]   to the port that was announced last
#   @tls                 the data connection goes on in TLS
#   @read, @drain        until the end of the data, of which @drain says nothing
#   @write text          to the data connection
#   @close               the data connection
#   @port, @eprt         an active data connection; [address] to be told
#   @accept              ... comes
#   @replies             all that are still to come: 1.3.8 has one more than 1.3.9
#   @rest                of the transfer, if the server has begun one
#   @login [name], @auth, @clear, @gone
# Returns what was seen, a list for each step.
package Walk {
  use Time::HiRes qw(sleep);

  sub connect {
    my ($self) = @_;
    return Client->connect($self->{address}, $self->{server}->port, from => $self->{from});
  }

  sub client {
    my ($self, $n) = @_;
    my $client = $self->{client}[$n] //= $self->connect;
    $self->saw(delete $client->{code}, $client->{greeting}) if $client->{code};
    return $client;
  }

  sub saw {
    my ($self, $code, $text) = @_;
    $text = 'nothing' unless defined $code;
    $text = 'the end' if defined $code and $code eq '0';
    if ($text =~ /^227 .*,(\d+),(\d+)\)/) {
      $self->{port} = $1 * 256 + $2;
      my $name = main::port_name($self->{port});
      $text =~ s/,\d+,\d+\)/,$name)/;
    }
    if ($text =~ /^229 .*\|(\d+)\|/) {
      $self->{port} = $1;
      my $name = main::port_name($self->{port});
      $text =~ s/\|\d+\|/|$name|/;
    }
    push @{ $self->{seen}[-1] }, $self->plain($text);
  }

  sub plain {
    my ($self, $text) = @_;
    my $dir = $self->{server}->dir;
    $text =~ s/\Q$dir\E/DIR/g;
    $text =~ s/\b$self->{active}\b/ACTIVE/g if $self->{active};
    $text =~ s/modify=\d+(?=.*type=[cp]dir)/modify=T/g;
    $text =~ s/unique=\w+;/unique=U;/g;
    $text =~ s/(226-?.*in )[\d.]+/$1T/g;
    return $text =~ s/\r//gr;
  }

  sub step {
    my ($self, $step) = @_;
    push @{ $self->{seen} }, [];
    my $client = $self->client($step =~ s/^2: *// ? 1 : 0);
    my ($word, $rest) = $step =~ /^(\@\w+) *(.*)/;
    return $self->saw($client->cmd($step)) unless defined $word;
    my $data = $self->{data};
    if ($word eq '@login') {
      $self->saw($client->cmd('USER ' . ($rest || 'ftp')));
      $self->saw($client->cmd('PASS ftp'));
    } elsif ($word eq '@send') {
      $client->send($rest);
      sleep 0.1;
    } elsif ($word eq '@pipe') {
      my @commands = split /;/, $rest;
      $client->send(join "\r\n", @commands);
      $self->saw($client->reply) for @commands;
    } elsif ($word eq '@reply') {
      $self->saw($client->reply);
    } elsif ($word eq '@replies') {
      $client->send('NOOP');
      do { $self->saw($client->reply) } until $self->{seen}[-1][-1] =~ /NOOP|^nothing$|^the end$/;
    } elsif ($word eq '@connect') {
      local $client->{from} = $rest || $client->{from};
      $self->{data} = $client->dial($client->{socket}->peerhost, $self->{port});
      $self->saw(1, $self->{data} ? 'connected' : 'not connected');
    } elsif ($word eq '@tls') {
      $self->{data} = $client->data_tls($data);
      $self->saw(1, $self->{data} ? 'TLS' : 'no TLS');
    } elsif ($word eq '@read' or $word eq '@drain') {
      my $bytes = '';
      1 while sysread $data, $bytes, 1 << 20, length $bytes;
      $self->saw(1, join '', sort split /(?<=\n)/, $bytes) if $word eq '@read';
      close delete $self->{data};
    } elsif ($word eq '@rest') {
      return if $self->{seen}[-2][-1] !~ /^150 /;
      shutdown $data, 1;
      my $bytes = '';
      1 while sysread $data, $bytes, 1 << 20, length $bytes;
      close delete $self->{data};
      $self->saw(1, $bytes);
      $self->saw($client->reply);
    } elsif ($word eq '@write') {
      local $SIG{PIPE} = 'IGNORE';
      syswrite $data, "$rest\n";
    } elsif ($word eq '@close') {
      close delete $self->{data};
    } elsif ($word eq '@port' or $word eq '@eprt') {
      my $address = $client->{socket}->sockhost;
      $self->{listener} = IO::Socket::IP->new(LocalHost => $address, Listen => 1) or die $@;
      $self->{active} = my $port = $self->{listener}->sockport;
      $address = $rest || $address;
      my $family = $address =~ /:/ ? 2 : 1;
      $self->saw($client->cmd($word eq '@eprt' ? "EPRT |$family|$address|$port|"
          : 'PORT ' . join ',', $address =~ /\d+/g, $port >> 8, $port & 255));
    } elsif ($word eq '@accept') {
      $self->{listener}->timeout(Limits::of(5));
      $self->{data} = $self->{listener}->accept;
      $self->saw(1, $self->{data} ? 'accepted' : 'nobody came');
    } elsif ($word eq '@auth') {
      $client->auth_tls;
    } elsif ($word eq '@clear') {
      $client->{socket}->stop_SSL(SSL_fast_shutdown => 0);
    } elsif ($word eq '@gone') {
      $self->saw($client->reply);
    } else {
      die "no such step: $step";
    }
    return;
  }

  sub sessions {
    my ($self) = @_;
    return scalar grep { Server::slurp("/proc/$_/stat") =~ /\) [^Z]/ } Server::children_of($self->{server}->pid);
  }

  sub go {
    my ($self, @steps) = @_;
    my $others = $self->sessions - 1;
    eval { $self->step($_) for @steps; 1 } or push @{ $self->{seen} }, ["the test died: $@"];
    close $self->{data} if $self->{data};
    $_->close for @{ $self->{client} };
    push @{ $self->{seen} }, ['a session is left over'] unless Net::wait_for(sub { $self->sessions <= $others }, 5);
    return [@{ $self->{seen} }, $self->logged];
  }

  # What the logs got from it.
  sub logged {
    my ($self) = @_;
    my $server = $self->{server};
    my @lines;
    for my $name (qw(wire xfer)) {
      my $text = $self->plain(Server::slurp("$server->{dir}/$name"));
      $text =~ s/^\w+ \w+ +\d+ [\d:]+ \d+ \d+ //mg if $name eq 'xfer';
      $text =~ s/ \d+ (.* i)$/ SOME $1/mg if $name eq 'xfer';    # as far as it came
      $text =~ s/\d+,\d+\)/PORT)/g;
      $text =~ s/\|\|\|\d+\|/|||PORT|/g;
      $text =~ s/^(PORT .*),\d+,\d+\|/$1,ACTIVE|/mg;
      push @lines, split /\n/, $text;
      truncate "$server->{dir}/$name", 0;
    }
    unlink "$server->{dir}/home/upload";

    # Two sessions write in an order of their own.
    return $self->{client}[1] ? [sort @lines] : \@lines;
  }
}

# All sequences of a server. The daemon sleeps for 0.4 s when a session ends,
# so many begin before the first ends.
sub walk {
  my ($server, $sequences) = @_;
  my (@waiting, @seen);
  for my $i (0 .. $#$sequences) {
    if (!@waiting) {
      for (grep { $_ } @$sequences[$i .. $i + 24]) {
        my $how = $_->[1];
        my $walk = bless {
          server => $server, seen => [], address => $host{ $how->{host} // 'main' }[0], from => $from{ $how->{from} // '' },
        }, 'Walk';
        $walk->{client} = [$walk->connect];
        push @waiting, $walk;
      }
    }
    my (undef, undef, @steps) = @{ $sequences->[$i] };
    push @seen, (shift @waiting)->go(@steps);
  }
  return \@seen;
}

# The sequences; which server walks which is said below them.
my @login = ('@login', 'TYPE I');
my @get = ('@connect', 'RETR hello', '@read', '@reply');
# The end of an upload during which a command was sent. If it is not answered
# before, its reply comes after the transfer's.
my @stored = Stock::answers_while_storing() ? ('@reply', '@write y', '@close', '@reply') : ('@write y', '@close', '@reply', '@reply');
my @protocol = (
  ['before login', {}, 'PASV', 'EPSV', 'EPSV ALL', 'EPSV 9', 'PASV x', 'USER ftp', 'PASV', 'PASS ftp', 'PASV'],
  ['after a wrong password', {}, 'USER ftp', 'PASS no', 'PASV', 'EPSV'],
  ['arguments of PASV', {}, @login, 'PASV x', 'PASV 1 2', 'PASV ', 'pasv', 'PaSv', 'PASV'],
  map({ ["EPSV $_", {}, @login, "EPSV $_", 'NOOP', 'PASV'] }
    1, 2, 3, 9, 0, -1, '+1', '1x', 'x', '1 2', 'ALL x', ' 1', '99999999999999999999', '1.0', '""', '0x1', '01'),
  ['EPSV without a protocol', {}, @login, 'EPSV', 'epsv', 'EPSV '],
  map({ my $all = $_; ["EPSV $all, then", {}, @login, "EPSV $all", 'PASV', 'PASV x', 'EPSV', 'EPSV 1', 'EPSV 2', 'EPSV 9', 'EPSV ALL',
      'PORT 127,0,0,1,200,1', 'EPRT |1|127.0.0.1|50000|', 'EPSV', @get] } qw(ALL all)),
  ['two PASV, the second counts', {}, @login, 'PASV', 'PASV', @get],
  ['PASV, EPSV', {}, @login, 'PASV', 'EPSV', @get],
  ['EPSV, PASV', {}, @login, 'EPSV', 'PASV', @get],
  ['EPSV 9 closes nothing', {}, @login, 'PASV', 'EPSV 9', @get],
  ['EPSV x closes nothing', {}, @login, 'PASV', 'EPSV x', @get],
  ['PASV x closes nothing', {}, @login, 'PASV', 'PASV x', @get],
  ['EPSV ALL closes nothing', {}, @login, 'PASV', 'EPSV ALL', 'PASV', @get],
  ['PASV, PORT', {}, @login, 'PASV', '@port', 'RETR hello', '@accept', '@read', '@reply', 'PASV', @get],
  ['PASV, EPRT', {}, @login, 'PASV', '@eprt', 'RETR hello', '@accept', '@read', '@reply', 'EPSV', @get],
  ['PORT, PASV', {}, @login, '@port', 'PASV', @get],
  ['PASV, a bad PORT', {}, @login, 'PASV', 'PORT 1,2,3', @get],
  ['PASV, a foreign PORT', {}, @login, 'PASV', '@port 192.0.2.77', @get],
  ['PASV, ABOR', {}, @login, 'PASV', 'ABOR', '@connect', 'RETR hello', 'PASV', @get],
  ['PASV, connection, ABOR', {}, @login, 'PASV', '@connect', 'ABOR', 'RETR hello', 'PASV', @get],
  ['PASV, REIN', {}, @login, 'PASV', 'REIN', @get],
  ['PASV, QUIT', {}, @login, 'PASV', 'QUIT', '@gone'],
  ['PASV, USER', {}, @login, 'PASV', 'USER other', 'PASS ftp', @get],
  ['PASV, CWD, NOOP, FEAT, HELP, STAT', {}, @login, 'PASV', 'CWD closed', 'CWD ..', 'NOOP', 'FEAT', 'HELP PASV', 'HELP EPSV', @get],
  map({ my ($what, @write) = ($_, /STOR|APPE/ ? ('@write text', '@close') : '@read');
      ["$what over PASV", {}, @login, 'PASV', '@connect', $what, @write, '@reply', 'PASV', 'SIZE upload'],
      ["$what over EPSV, called before the client comes", {}, @login, 'EPSV', "\@send $what", '@connect', '@reply', @write, '@reply'] }
    'LIST', 'NLST', 'MLSD', 'RETR hello', 'STOR upload', 'APPE upload'),
  # Up to 1.3.7f the data connection stays for the next transfer, later ones close it.
  ['a file that is not there', {}, @login, 'PASV', '@connect', 'RETR nothing', 'RETR hello', '@rest', 'PASV', @get],
  ['a file that cannot be stored', {}, @login, 'PASV', '@connect', 'STOR nothing/x', 'STOR upload', '@rest', 'PASV', @get],
  ['a transfer without PASV', {}, @login, 'RETR nothing'],
  ['one PASV, two transfers', {}, @login, 'PASV', @get, 'NOOP'],
  ['PASV while the last data connection closes', {}, @login, 'PASV', '@connect', 'RETR hello', '@send PASV', '@read', '@reply', '@reply', @get],
  ['PASV while an upload runs', {}, @login, 'PASV', '@connect', 'STOR upload', '@send PASV', '@write x', @stored, 'PASV', @get],
  ['EPSV while an upload runs', {}, @login, 'PASV', '@connect', 'STOR upload', '@send EPSV', '@write x', @stored, 'EPSV', @get],
  ['ABOR of an upload, PASV', {}, @login, 'PASV', '@connect', 'STOR upload', '@send ABOR', '@write x', '@close', '@reply', '@reply', '@replies', 'PASV', @get],
  ['pipelined', {}, @login, '@pipe PASV;PASV;NOOP;EPSV;EPSV 9;EPSV', @get],
  ['the client leaves a data connection at once', {}, @login, 'PASV', '@connect', '@close', 'LIST', '@reply', 'PASV', @get],
  ['REST', {}, @login, 'REST 6', 'PASV', @get, 'PASV', 'REST 6', @get, 'EPSV', @get],
  ['TYPE A and REST', {}, '@login', 'TYPE A', 'REST 6', 'PASV', @get, 'TYPE I', 'PASV', 'TYPE A', @get],
  @optional ? ['MODE Z', {}, @login, 'MODE Z', 'PASV', '@connect', 'RETR hello', '@drain', '@reply', 'MODE S', 'EPSV', @get] : (),
  ['MODE B, STRU', {}, @login, 'MODE B', 'STRU R', 'PASV', 'STRU F', 'MODE S', @get],
  # Refused by some releases, and let in by us after five seconds (natpasv-strangers.t).
  Server::refuses_others() ? () :
  ['a data connection from somebody else', {}, @login, 'PASV', '@connect 127.0.0.77', 'RETR hello', '@read', '@replies', 'PASV', @get],
);
my @hosts = (
  ['MasqueradeAddress, local client', { host => 'masq' }, @login, 'PASV', 'EPSV', @get],
  ['MasqueradeAddress, client from outside', { host => 'masq', from => 'public' }, @login, 'PASV', 'EPSV', @get],
  ['an address that is not local', { host => 'vip', from => 'public' }, @login, 'PASV', @get, 'EPSV', @get],
  ['<Limit PASV> DenyAll', { host => 'nopasv' }, 'PASV', @login, 'PASV', 'PASV x', 'EPSV', 'PASV', @get, 'EPSV ALL', 'PASV'],
  ['<Limit EPSV> DenyAll', { host => 'noepsv' }, 'EPSV', @login, 'EPSV', 'EPSV 9', 'EPSV x', 'EPSV ALL', 'PASV', 'EPSV 1', @get],
  ['<Limit STOR> DenyAll', { host => 'noepsv' }, @login, 'PASV', '@connect', 'STOR upload', 'RETR hello', '@rest', 'PASV', @get],
  ['<Limit PASV EPSV> of <Anonymous>', { host => 'anon' }, '@login anonymous', 'PASV', 'EPSV', 'EPSV ALL'],
  ['... which others are not subject to', { host => 'anon' }, '@login other', 'PASV', 'EPSV'],
  ['<Limit PASV> DenyClass', { host => 'class', from => 'partner' }, @login, 'PASV', 'EPSV', @get],
  ['... which others are not subject to', { host => 'class', from => 'public' }, @login, 'PASV', @get],
  ['AllowForeignAddress', { host => 'fxp' }, @login, 'PASV', '@connect 127.0.0.77', 'RETR hello', '@read', '@reply'],
  ['AllowForeignAddress, PORT', { host => 'fxp' }, @login, 'PASV', '@port 127.0.0.77', 'PASV', @get],
  ['TLS', { host => 'tls' }, '@auth', @login, 'PASV', '@connect', 'RETR hello', '@tls', '@read', '@reply', 'EPSV', '@connect', 'LIST', '@tls', '@read', '@reply', 'QUIT'],
  ['TLS, PROT C', { host => 'tls' }, '@auth', @login, 'PROT C', 'PASV', @get, 'PASV', 'PROT P', '@connect', 'RETR hello', '@tls', '@read', '@reply'],
  ['TLS, SSCN', { host => 'tls' }, '@auth', @login, 'SSCN', 'SSCN ON', 'SSCN OFF', 'PASV', '@connect', 'RETR hello', '@tls', '@read', '@reply'],
  ['TLS, CCC', { host => 'tls' }, '@auth', @login, 'CCC', '@clear', 'PASV', 'NOOP'],
  ['TLS in the middle', { host => 'tls' }, @login, 'PASV', @get, 'AUTH x', 'PASV', 'AUTH TLS'],
  ['<IfClass>', { host => 'ifs', from => 'partner' }, @login, 'PASV', 'EPSV', @get],
  ['<IfClass>, another class', { host => 'ifs', from => 'public' }, @login, 'PASV', 'EPSV', @get],
  ['<IfUser>', { host => 'ifs' }, '@login other', 'PASV', 'EPSV', @get],
  ['<IfUser> with <Limit PASV>', { host => 'ifs' }, '@login denied', 'PASV', 'EPSV', @get],
  ['.ftpaccess', { host => 'over' }, @login, 'PASV', 'CWD closed', 'PASV', 'EPSV', 'EPSV ALL', 'CWD ..', 'EPSV', @get],
  ['HOST', { from => 'public' }, 'HOST named.example', @login, 'PASV', 'EPSV', @get],
  ['HOST of which PASV is denied', {}, 'HOST denied.example', @login, 'PASV', 'EPSV', @get],
  ['HOST that is not there', {}, 'HOST nowhere.example', 'HOST', @login, 'HOST named.example', 'PASV', @get],
  ['HOST after PASV', { from => 'public' }, 'PASV', 'HOST named.example', 'PASV', 'HOST denied.example', @login, 'PASV', 'EPSV', @get],
  ['ABOR of a download, PASV', { host => 'slow' }, @login, 'PASV', '@connect', 'RETR big', '@send ABOR', '@drain', '@reply', '@reply', 'PASV', @get],
  ['PASV while a download runs', { host => 'slow' }, @login, 'PASV', '@connect', 'RETR big', '@send PASV', '@drain', '@reply', '@reply', 'PASV', @get],
  ['TimeoutNoTransfer', { host => 'silent' }, @login, 'PASV', '@gone'],
  ['the only port is another session\'s', { host => 'one' }, @login, '2: @login', 'PASV', '2: PASV', '2: NOOP', 'PASV', 'EPSV'],
);
my @six = map { [$_->[0], { host => 'six', from => 'six' }, @$_[2 .. $#$_]] }
  grep { $_->[0] =~ /^(?:before login|EPSV|PASV, [^P]*$|LIST|pipelined|two PASV)/ } @protocol;
my @some = $ENV{LONG} ? @protocol
  : grep { $_->[0] =~ /^(?:before login|EPSV (?:[129x]|ALL|without)|PASV, |PORT|pipelined|LIST|STOR|a data)/ } @protocol;

my $tight = "ServerType standalone\nSocketBindTight on";
my %on = (
  'tight'    => ["$tight\nUseIPv6 on", [grep { $_ ne 'main' } sort keys %host], [@protocol, @hosts, $six ? @six : ()]],
  'wildcard' => ["ServerType standalone\nSocketBindTight off\nUseIPv6 on", ['masq', $six ? 'six' : ()],
    [@some, $hosts[0], $hosts[1], $six ? @six : ()]],
  'no IPv6'  => ["$tight\nUseIPv6 off", ['masq'], [@some]],
);

# How ProFTPD listens is one to the sanitizers.
%on = (tight => $on{tight}) if $ENV{SANITIZE};

# All servers at the same time, each in a process of its own.
my %seen;
my @walkers;
for my $listening (sort keys %on) {
  my ($config, $names, $sequences) = @{ $on{$listening} };
  for my $variant (@variants) {
    $base = 10000 + 3000 * @walkers;
    Server::tls();    # one certificate for all
    my $pid = open(my $out, '-|') // die $!;
    if ($pid == 0) {
      my $server = server($config, $variant, 'main', @$names);
      my $walks = walk($server, $sequences);
      my $seen = encode_json({ walks => $walks, sanitizer => $server->sanitizer });
      undef $server;
      print $seen;
      close STDOUT;
      POSIX::_exit(0);
    }
    push @walkers, [$listening, $variant, $out];
  }
}
for (@walkers) {
  my ($listening, $variant, $out) = @$_;
  $seen{$listening}{$variant} = decode_json(do { local $/; <$out> } || '{}');
}

# Where another session has the only port, stock ProFTPD takes one from outside.
# 1.3.7a listens on the same one once more (its issue 1171): of three sessions
# with two ports, two are told the same.
sub other_port {
  my $server = Server->start(config => "PassivePorts 9000 9001\n");
  my @clients = map { Client->connect($server->bind, $server->port)->login } 1 .. 3;
  my %told = map { (($_->pasv)[1] => 1) } @clients;
  return keys %told < @clients ? 'one' : 'any';
}
my $other_port = other_port();

# What is meant to differ: on which servers, in which sequences, the line of stock
# ProFTPD and ours, why, and in which variants. It has to, on each of them.
my @intended = (
  ['tight wildcard', qr/^MasqueradeAddress, local client$/, qr/227\W.*\(192,0,2,1,/, qr/227\W.*\(127,0,0,2,/,
    'with a rule, a client of the local network is told the local address', 'pool'],
  ['tight', qr/^the only port/, qr/^227 .*,$other_port\)/, qr/^425 .*no free port in pool '[\w-]+' \(2 of 2 in use, 1 of them by other programs\)$/,
    'no port outside the pool, but 425 and the cause'],
  ['tight', qr/^the only port/, qr/^PASV\|227\|/, qr/^PASV\|425\|.*no free port/, '... also in the log'],
  $six ? ['tight wildcard', qr/./, qr/227\W.*\(5,/, qr/227\W.*\(0,0,0,0,/,
    'PASV over IPv6 means the address that was called, and is no fragment of it'] : (),
);

my %happened;
sub intended {
  my ($listening, $variant, $name, $stock, $ours) = @_;
  for my $i (0 .. $#intended) {
    my ($where, $sequence, $its, $own, undef, $variants) = @{ $intended[$i] };
    next if defined $variants and $variants ne $variant;
    next unless $where =~ /\b$listening\b/ and $name =~ $sequence and $stock =~ $its and $ours =~ $own;
    return $happened{$listening}{$variant}{$i} = 1;
  }
  return;
}

# In active mode both refuse the same, in other words (t/natpasv-active.t).
sub refused {
  return $_[0] =~ s/Illegal (?:PORT|EPRT) command\b(?!,)|Your address is \S+ here, and no data connection is made to \S+: use passive mode \(PASV or EPSV\)/REFUSED/gr
    =~ s/ \(\S+\): use passive mode \(PASV or EPSV\)//gr;
}

sub visible { return join ' / ', map { s/\n/\\n/gr } @{ $_[0] } }

for my $listening (sort keys %on) {
  my @sequences = @{ $on{$listening}[2] };
  for my $variant (@variants[1 .. $#variants]) {
    my ($stock, $ours) = map { $seen{$listening}{$_}{walks} // [] } 'stock', $variant;
    my ($steps, @bad) = (0);
    for my $i (0 .. $#sequences) {
      my ($name, undef, @steps) = @{ $sequences[$i] };
      for my $j (0 .. $#{ $stock->[$i] // [] }) {
        my ($its, $own) = ($stock->[$i][$j], $ours->[$i][$j] // []);
        my $step = $steps[$j] // 'log';
        $steps++;
        for my $k (0 .. (@$its > @$own ? $#$its : $#$own)) {
          my ($a, $b) = map { refused($_->[$k] // '(none)') } $its, $own;
          next if $a eq $b or intended($listening, $variant, $name, $a, $b);
          push @bad, "$name: $step\n  stock: $a\n  ours:  $b";
        }
      }
    }
    cmp_ok($steps, '>', 4 * @sequences, sprintf 'server %s, variant %s: %d sequences, %d steps', $listening, $variant, scalar @sequences, $steps);
    is(scalar @bad, 0, '... with no difference that is not meant') or diag(join "\n", @bad);
    is($seen{$listening}{$variant}{sanitizer}, '', '... nor anything for the sanitizers to report');
  }
  my @strange = grep { grep { grep { /^(?:the test died|a session is left over|nothing$)/ } @$_ } @{ $seen{$listening}{stock}{walks}[$_] } } 0 .. $#sequences;
  is(join(', ', map { $sequences[$_][0] } @strange), '', "server $listening: every step got its reply")
    or diag map { visible($_) . "\n" } @{ $seen{$listening}{stock}{walks}[$strange[0]] };
  if ($ENV{SHOW}) {
    for my $i (0 .. $#sequences) {
      my ($name, undef, @steps) = @{ $sequences[$i] };
      diag("== $listening: $name");
      diag(sprintf '%-24s %s', $steps[$_] // 'log', visible($seen{$listening}{stock}{walks}[$i][$_])) for 0 .. $#{ $seen{$listening}{stock}{walks}[$i] };
    }
  }
}
for my $i (0 .. $#intended) {
  for my $listening (grep { $on{$_} } split ' ', $intended[$i][0]) {
    is_deeply([grep { $happened{$listening}{$_}{$i} } @variants],
      [split ' ', $intended[$i][5] // 'keep pool'], "server $listening, meant: $intended[$i][4]");
  }
}

done_testing;
