package Stock;

# What ProFTPD without our modules does where its releases differ.

use strict;
use warnings;
use Client;
use Server;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep);

# A plain download that is under way: the client, the data connection, and the
# server, which lives as long as this is held.
sub download {
  my $server = Server->start(config => "TransferRate RETR 200\nTimeoutLinger 1\n");
  $server->file('big', size => 3_000_000);
  my $client = Client->connect($server->bind, $server->port)->login;
  $client->cmd('TYPE I');
  my $data = $client->data($client->pasv);
  my ($code, $text) = $client->cmd('RETR big');
  die "RETR: $text" unless $code == 150;
  return ($client, $data, $server);
}

# The codes of the replies when it is aborted: up to 1.3.7 the one to ABOR comes
# before the one to the transfer.
sub abort {
  my ($client, $data, $server) = download();
  return $client->abort($data);
}

# The code of the reply when the client resets the data connection: up to 1.3.7
# it is 450, then 426.
sub reset {
  my ($client, $data, $server) = download();
  setsockopt $data, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
  close $data;
  return ($client->reply)[0];
}

# Whether a command is answered while an upload runs. That of 1.3.10rc5 looks for
# ABOR and QUIT then and leaves others unread: their reply comes after the
# transfer's.
sub answers_while_storing {
  my $server = Server->start;
  my $client = Client->connect($server->bind, $server->port)->login;
  my $data = $client->data($client->pasv);
  my ($code, $text) = $client->cmd('STOR new');
  die "STOR: $text" unless $code == 150;
  $client->send('PASV');
  sleep 0.1;
  syswrite $data, "x\n";    # commands are looked for before each read
  sleep 0.1;
  close $data;
  my $codes = join ' ', map { ($client->reply)[0] // 'none' } 1, 2;
  return 1 if $codes eq '450 226';
  return 0 if $codes eq '226 227';
  die "PASV while an upload runs: $codes";
}

# Whether mod_tls crashes at an upload by TLS 1.2 whose client has no session
# ticket, as that of 1.3.7a does (ProFTPD's issue 1063).
sub crashes_without_ticket {
  my $server = Server->start(modules => ['mod_tls'], config => Server::tls());
  my $client = Client->connect($server->bind, $server->port)->auth_tls(SSL_version => 'TLSv1_2')->login;
  my $data = $client->data($client->pasv);
  my ($code, $text) = $client->cmd('STOR new');
  die "STOR: $text" unless $code == 150;
  if (IO::Socket::SSL->start_SSL($data, SSL_verify_mode => 0, SSL_version => 'TLSv1_2')) {
    close $data;
    ($code, $text) = $client->reply;
    die "STOR: $text" unless $code == 226;
    return 0;
  }
  $client->reply;
  return Net::wait_for(sub { $server->log =~ /terminating \(signal 11\)/ }, 5) || die $server->log;
}

1;
