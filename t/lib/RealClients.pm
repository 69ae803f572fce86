package RealClients;

# FTP clients that people use, each as a shell script that fetches or stores
# some files one after another over one control connection and says QUIT.
# Whether it ended well is for the files and the exit status to say.

use strict;
use warnings;
use Limits;
use List::Util qw(min);
use Net;
use POSIX ();
use Time::HiRes qw(sleep time);

# tls: can speak explicit FTPS; put: can store.
our %CLIENTS = (
  'curl'          => { program => 'curl', package => 'curl', tls => 1, put => 1 },
  'lftp'          => { program => 'lftp', package => 'lftp', tls => 1, put => 1 },
  'wget'          => { program => 'wget', package => 'wget', tls => 1, put => 0 },
  'ncftp'         => { program => 'ncftpget', package => 'ncftp', tls => 0, put => 1 },
  'tnftp'         => { program => 'tnftp', package => 'tnftp', tls => 0, put => 1 },
  'inetutils-ftp' => { program => 'inetutils-ftp', package => 'inetutils-ftp', tls => 0, put => 1 },
  'ftplib'        => { program => 'python3', package => 'python3', tls => 1, put => 1 },
  'Net::FTP'      => { program => 'perl', package => 'perl', tls => 1, put => 1 },
  'rclone'        => { program => 'rclone', package => 'rclone', tls => 1, put => 1 },
  'gftp'          => { program => 'gftp-text', package => 'gftp-text', tls => 0, put => 1 },
);

# Without gftp, which fails with "method reply".

our @NAMES = ('curl', 'lftp', 'wget', 'ncftp', 'tnftp', 'inetutils-ftp', 'ftplib', 'Net::FTP', 'rclone');

sub find { my ($program) = @_; return (grep { -x } map { "$_/$program" } qw(/usr/bin /bin /usr/local/bin))[0] }

# The reason why a client cannot be used, or nothing.
sub unavailable {
  my ($name) = @_;
  return if find($CLIENTS{$name}{program});
  return "$CLIENTS{$name}{program} (Debian package $CLIENTS{$name}{package}) is missing";
}

# script($name, host, port, tls => 0|1, tls_max => '1.2', get => [names],
# put => [names]): runs in the directory that has or gets the files.
sub script {
  my ($name, %o) = @_;
  my $make = __PACKAGE__->can($name =~ s/\W/_/gr) or die "no client $name";
  return $make->({ get => [], put => [], tls => 0, %o });
}

sub curl {
  my ($o) = @_;
  my $tls = $o->{tls} ? '--ssl-reqd -k' . ($o->{tls_max} ? " --tls-max $o->{tls_max}" : '') : '';
  my $url = "ftp://$o->{host}:$o->{port}";
  my @files = ((map { "-o '$_' '$url/$_'" } @{ $o->{get} }), (map { "-T '$_' '$url/$_'" } @{ $o->{put} }));
  return "exec curl -v -sS --fail-early $tls -u ftp:ftp @files";
}

sub lftp {
  my ($o) = @_;
  my $tls = $o->{tls}
    ? 'set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no;'
    . ($o->{tls_max} ? 'set ssl:priority NORMAL:-VERS-TLS1.3;' : '')
    : 'set ftp:ssl-allow no;';
  my $files = join '', (map { "get $_;" } @{ $o->{get} }), (map { "put $_;" } @{ $o->{put} });
  return "exec lftp -d -e '$tls set net:max-retries 1; set net:timeout 60; set cmd:fail-exit yes;"
    . " $files quit' -u ftp,ftp ftp://$o->{host}:$o->{port}";
}

sub wget {
  my ($o) = @_;
  my $scheme = $o->{tls} ? 'ftps' : 'ftp';
  my $tls = !$o->{tls} ? '' : '--no-check-certificate' . ($o->{tls_max} ? ' --ciphers=NORMAL:-VERS-TLS1.3' : '');
  my @urls = map { "'$scheme://ftp:ftp\@$o->{host}:$o->{port}/$_'" } @{ $o->{get} };
  return "exec wget -d --tries=1 --timeout=120 $tls @urls";
}

sub ncftp {
  my ($o) = @_;
  my $login = "-u ftp -p ftp -P $o->{port} -r 0 -t 60 -V -d stderr";
  return @{ $o->{get} } ? "exec ncftpget $login $o->{host} . @{ $o->{get} }"
    : "exec ncftpput $login $o->{host} . @{ $o->{put} }";
}

sub script_ftp {
  my ($program, $o) = @_;
  my $files = join '', (map { "get $_\n" } @{ $o->{get} }), (map { "put $_\n" } @{ $o->{put} });
  return "exec $program -n -v $o->{host} $o->{port} <<'END'\nuser ftp ftp\nbinary\npassive\n${files}bye\nEND\n";
}

# tnftp is passive from the start.
sub tnftp { my ($o) = @_; return script_ftp('tnftp', $o) =~ s/^passive\n//mr }
sub inetutils_ftp { my ($o) = @_; return script_ftp('inetutils-ftp', $o) }

sub ftplib {
  my ($o) = @_;
  my $class = $o->{tls} ? 'FTP_TLS' : 'FTP';
  my $context = $o->{tls} && $o->{tls_max} ? 'f.context.maximum_version = ssl.TLSVersion.TLSv1_2' : 'pass';
  my $files = join '', (map { "f.retrbinary('RETR $_', open('$_', 'wb').write)\n" } @{ $o->{get} }),
    (map { "f.storbinary('STOR $_', open('$_', 'rb'))\n" } @{ $o->{put} });
  my $protect = $o->{tls} ? 'f.prot_p()' : 'pass';
  return <<"END";
exec /usr/bin/python3 - <<'SCRIPT'
import ftplib, ssl
f = ftplib.$class()
$context
f.set_debuglevel(1)
f.connect('$o->{host}', $o->{port})
f.login('ftp', 'ftp')
$protect
${files}f.quit()
SCRIPT
END
}

# Net::FTP closes its data connection with TLS 1.3 tickets unread, so that the
# kernel resets it: an upload that the server reads slowly fails with any
# server. The script reads them before it closes.
sub Net__FTP {
  my ($o) = @_;
  my $tls_max = $o->{tls_max} ? "SSL_version => 'TLSv1_2'," : '';
  my $secure = $o->{tls} ? '$f->starttls or die $f->message; $f->prot("P");' : '';
  my $files = join '', (map { "\$f->get('$_') or die \$f->message;\n" } @{ $o->{get} }),
    (map { "put('$_') or die \$f->message;\n" } @{ $o->{put} });
  return <<"END";
exec /usr/bin/perl - <<'SCRIPT'
use IO::Select;
use Net::FTP;
sub put {
  my (\$name) = \@_;
  open my \$file, '<', \$name or die;
  my \$data = \$f->stor(\$name) or return;
  while (sysread \$file, my \$chunk, 16384) { \$data->write(\$chunk, length \$chunk) or return }
  if (\$f->can('is_SSL') && \$f->is_SSL) { \$data->blocking(0); IO::Select->new(\$data)->can_read(1) and sysread \$data, my \$tickets, 1 for 1 .. 2 }
  return \$data->close;
}
our \$f = Net::FTP->new('$o->{host}', Port => $o->{port}, Passive => 1, Debug => 1, $tls_max
  SSL_verify_mode => 0) or die;
$secure
\$f->login('ftp', 'ftp') or die; \$f->binary;
$files
\$f->quit or die;
SCRIPT
END
}

sub rclone {
  my ($o) = @_;
  my $tls = $o->{tls} ? ',explicit_tls=true,no_check_certificate=true' : '';
  my $remote = "\":ftp,host=$o->{host},port=$o->{port},user=ftp,pass=\$(rclone obscure ftp),concurrency=1$tls:";
  my $run = 'rclone --config /dev/null -vv --retries 1 --low-level-retries 1';
  my @files = ((map { "$run copyto $remote$_\" $_" } @{ $o->{get} }), (map { "$run copyto $_ $remote$_\"" } @{ $o->{put} }));
  return join ' && ', @files;
}

# gftp leaves its first control connection idle while others transfer, until it
# says QUIT on it.
sub gftp {
  my ($o) = @_;
  my $files = join '', (map { "get $_\n" } @{ $o->{get} }), (map { "put $_\n" } @{ $o->{put} });
  return "exec gftp-text ftp://ftp:ftp\@$o->{host}:$o->{port} <<'END'\nbinary\n${files}close\nquit\nEND\n";
}

# Runs scripts at the same time: ([name, netns, directory, script, seconds], ...),
# the last only where it is not the common limit. Returns name => { status,
# seconds, said }; whoever takes longer is killed.
sub together {
  my ($seconds, @jobs) = @_;
  my (%pid, %result);
  for my $job (@jobs) {
    # A daemon under the sanitizers takes its time to start a session, and one on a
    # busy machine. But what happens to some is to happen to others as far on.
    sleep(min(0.5, ($ENV{SANITIZE} ? 0.2 : 0.05) * Limits::slowness()));
    my ($name, $netns, $dir, $script, $limit) = @$job;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
      POSIX::setpgid(0, 0);
      chdir $dir or POSIX::_exit(126);
      @ENV{qw(HOME LC_ALL)} = ($dir, 'C');
      open STDIN,  '<', '/dev/null';
      open STDOUT, '>', "$dir/said";
      open STDERR, '>&', \*STDOUT;
      exec Net::prefix($netns), 'sh', '-c', $script or POSIX::_exit(127);
    }
    $pid{$pid} = { name => $name, dir => $dir, start => time, end => time + ($limit // $seconds) };
  }
  while (%pid) {
    for my $pid (keys %pid) {
      my $late = time > $pid{$pid}{end};
      kill 'KILL', -$pid if $late;
      next unless waitpid($pid, $late ? 0 : POSIX::WNOHANG()) == $pid;
      my $job = delete $pid{$pid};
      open my $said, '<', "$job->{dir}/said";
      local $/;
      $result{ $job->{name} } = {
        status => $late ? 'killed' : $?, seconds => time - $job->{start}, said => scalar(<$said>) // '',
      };
    }
    sleep 0.05;
  }
  return %result;
}

1;
