package Symptoms;

# The symptoms of mod_extip/troubleshooting.html, and the lines that it quotes.
#
#   symptom('Hangs', Log => sub { $server->log }, 'ftpdctl extip check' => $said);
#
# A text, or what gives it, is there for each place that the page names; each line
# that is quoted from there has to be in it, whole, sooner or later. What the page
# has in <em> may be anything.

use strict;
use warnings;
use Exporter 'import';
use FindBin;
use Net;
use Test::More;

our @EXPORT = 'symptom';

# What no test can provoke, and why.
our %NOT_PROVOKED = (
  Denied => 'a kernel with SELinux or AppArmor enforcing is needed; the line is that of HelperCannotStart, which is provoked',
);

sub slurp { my ($path) = @_; open my $f, '<', $path or die "$path: $!"; local $/; return <$f> }
sub text { my ($html) = @_; return $html =~ s/&lt;/</gr =~ s/&gt;/>/gr =~ s/&quot;/"/gr =~ s/&amp;/&/gr =~ s/\s+/ /gr }

# The pattern of a quoted line. In the log the name of the module is before it.
sub pattern {
  my ($where, $html) = @_;
  my @parts = map { /^<em>anything/ ? '.*' : /^<em>/ ? '\S.*?' : join '\s+', map { quotemeta } split / /, text($_), -1 }
    split m{(<em>[^<]*</em>)}, $html;
  my $line = join '', @parts;
  return $where eq 'Log' ? qr/\bmod_\w+\/[\d.]+: (?:warning: |error: )?$line$/m
    : $where =~ /^ss / ? qr/ $line / : qr/^\s*$line$/m;
}

# id => { title, proofs => [[where, [[line as text, pattern], ...]], ...] }
sub page {
  my $html = slurp("$FindBin::Bin/../mod_extip/troubleshooting.html");
  my %page;
  while ($html =~ m{<h3><a name="(\w+)">(.*?)</a></h3>(.*?)(?=<h[23]>|\z)}sg) {
    my ($id, $title, $entry) = ($1, $2, $3);
    my %symptom = (title => $title, proofs => [], remedy => $entry =~ m{<dt>Remedy</dt>\s*<dd>\S});
    while ($entry =~ m{<dt>(.*?)</dt>\s*<dd>(.*?)</dd>}sg) {
      my ($where, $quoted) = ($1, $2);
      $where =~ s/<[^>]+>//g;
      next if $where eq 'Remedy';
      push @{ $symptom{proofs} }, [$where, [map { [text(s/<[^>]+>//gr), pattern($where, $_)] }
        $quoted =~ m{<code>(.*?)</code>}sg]];
    }
    $page{$id} = \%symptom;
  }
  return \%page;
}

my $page;

sub symptom {
  my ($id, %there) = @_;
  $page //= page();
  my $symptom = $page->{$id} or return fail("$id is a symptom of the page");
  for my $proof (@{ $symptom->{proofs} }) {
    my ($where, $lines) = @$proof;
    my $text = delete $there{$where} // '';
    for my $line (@$lines) {
      my ($quoted, $pattern) = @$line;
      my $last = '';
      my $found = Net::wait_for(sub { ($last = ref $text ? $text->() : $text) =~ $pattern }, ref $text ? 10 : 0);
      ok($found, "$id, $where: $quoted") or diag $last;
    }
  }
  is_deeply([keys %there], [], '... and the page names these places') if %there;
  return;
}

1;
