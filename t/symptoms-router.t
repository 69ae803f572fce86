# The symptoms of troubleshooting.html that a router which is asked for forwards
# makes: each is provoked with miniupnpd.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use ExtIP;
use Router;
use Server;
use Symptoms;
use Test::More;

if (my $reason = Server::unavailable() // Router::unavailable()) {
  plan skip_all => $reason;
}

my $lab = Router->new;

sub start {
  my $server = $lab->server(modules => ['mod_extip'], config => <<'EOC');
ExtIPEngine on
ExtIPSource natpmp:
ExtIPTable none
ExtIPForward control passive
PassivePorts 61000 61003
EOC
  return ($server, sub { $server->log });
}

$lab->hold(61000, 'lan');
my ($server, $log) = start();
symptom('RouterRefuses', Log => $log);
$lab->change_address('100.64.3.3');
Net::wait_for(sub { ($server->ctl(qw(extip forwards json)))[1] =~ /100\.64\.3\.3/ }, 15);
symptom('CGNAT', Log => $log, 'ftpdctl extip check' => ($server->ctl(qw(extip check)))[1]);
$server->stop;

$lab->stop_router;
($server, $log) = start();
symptom('RouterSilent', Log => $log);

done_testing;
