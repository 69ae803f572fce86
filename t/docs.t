# What the code offers stands in the manual, and nothing else does; and the
# pages have one form.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Symptoms;
use Test::More;

my @modules = qw(mod_extip mod_natpasv mod_keepalive);
my @sections = qw(Idea Directives Controls Interfaces Logging Installation Usage FAQ);

sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> }

sub unescape { my ($t) = @_; return $t =~ s/<[^>]+>//gr =~ s/&lt;/</gr =~ s/&gt;/>/gr =~ s/&quot;/"/gr =~ s/&amp;/&/gr =~ s/\s+/ /gr =~ s/^ | $//gr }

# In usage comments a value is a bare word, in HTML it is in <em>; both are
# compared without brackets around values and without blanks.
sub bare { my ($t) = @_; return $t =~ s/[<>\s]//gr }

sub unique { my %seen; return [sort grep { !$seen{$_}++ } @_] }

# The text of one section.
sub section { my ($html, $name) = @_; return $html =~ m{<h2><a name="$name">(.*?)(?=<h2>|\z)}s ? $1 : '' }

my %source = map { my $m = $_; $m => join '', map { slurp($_) } sort glob "$m/*.[ch]" } @modules;

my %html = map { $_ => slurp("$_/$_.html") } @modules;

for my $module (@modules) {
  my $source = $source{$module};
  my $html   = $html{$module};
  my ($table) = $source =~ /(?:static )?conftable \w+\[\] = \{(.*?)\n\};/s;
  my %directive = map { $_ => 1 } ($table // '') =~ /\{\s*"(\w+)"/g;
  my %usage = $source =~ m{/\*\s*usage: (\w+)\s+(.*?)\s*\*/}gs;
  my %page  = $html =~ m{<h3><a name="(\w+)">\1</a></h3>\s*<strong>Syntax:</strong>\s*(.*?)<br}gs;

  ok(scalar keys %directive, "$module has directives");
  is_deeply([sort keys %usage], [sort keys %directive], "$module: a usage comment for each directive");
  is_deeply([sort keys %page],  [sort keys %directive], "$module: a place in the HTML page for each directive");
  for my $name (sort keys %directive) {
    my $syntax = unescape($page{$name} // '') =~ s/^\Q$name\E\s*//r;
    my $comment = ($usage{$name} // '') =~ s/\n\s*\*\s*/ /gr;
    is(bare($syntax), bare($comment), "$name: usage comment and HTML agree");
    my ($entry) = $html =~ m{<a name="$name">(.*?)(?:<hr|<h2|<h3><a name)}s;
    like($entry // '', qr{<strong>\Q$_\E:</strong>}, "$name: $_ is told") for qw(Default Context Module Compatibility);
    like($entry // '', qr{<strong>Default:</strong> (?:None|<code>$name [^<]+</code>[^<]*(?:<code>$name [^<]+</code>)?)<br>},
      "$name: the default is None or a line of configuration");
  }

  # Whoever writes for ftpdctl, LogFormat or another module reads about it here.
  my ($action) = $source =~ /ctrls_acttab_t \w+\[\] = \{(.*?)\n\};/s;
  my ($prefix) = $module =~ /mod_(\w+)/;
  is_deeply(unique(section($html, 'Controls') =~ /<h3><a name="(\w+)">/g),
    unique(map { "${prefix}_$_" } ($action // '') =~ /\{\s*"(\w+)"/g), "$module: the control actions are those of the code");

  my ($may) = $html =~ m{<h3><a name="\w+ControlsACLs">.*?<p>(.*?)\. By}s;
  is_deeply(unique(($may // '') =~ m{<code>([a-z]+)</code>}g), unique(($action // '') =~ /\{\s*"(\w+)"/g),
    "$module: ... and those that ControlsACLs names");

  my ($controls) = section($html, 'Controls');
  is_deeply(unique($controls =~ m{<tr><td><code>(proftpd_\w+)</code>}g), unique($source =~ /"(proftpd_\w+)"/g),
    "$module: the metrics are those of the code");
  like($controls, qr{ftpdctl $prefix status \[json\|prometheus\]<br>}, "$module: status for people and machines");

  my @notes  = ($source =~ /#define \w*NOTE\w* +"(\Q$module\E\.[\w-]+)"/g, $source =~ /session\.notes,\s*"([\w.-]+)"/g);
  my @events = $source =~ /pr_event_generate\(\s*"(\Q$module\E\.[\w-]+)"/g;
  my @hooks  = $source =~ /\{ HOOK, "(\w+)"/g;
  my @heard  = $source =~ /pr_event_register\(\s*&?\w+,\s*"(mod_(?:extip|natpasv|keepalive)\.[\w-]+)"/g;
  my @called = $source =~ /PR_SYM_HOOK,\s*"(\w+)"/g;
  my @known = section($html, 'Interfaces') =~ /\b(?:mod_\w+\.[\w-]*\w|(?:extip|natpasv|keepalive)_\w+)/g;
  is_deeply(unique(grep { $_ !~ /\.html$/ } @known), unique(@notes, @events, @hooks, @heard, @called),
    "$module: notes, events and HOOKs are those of the code");

  # Trace channels with their levels.
  my @channels = unique($source =~ /pr_trace_msg\(\s*(?!trace_channel)"?(\w+)"?/g,
    $source =~ /trace_channel = "?(\w+)"?;/g);
  my %channel = map { $_ => 1 } map { $source =~ /#define $_ +"(\w+)"/ ? $1 : $_ } @{$channels[0]};
  my $logging = unescape(section($html, 'Logging'));
  like($logging, %channel ? qr/trace channel is \Q$_\E\b/ : qr/no trace channel/, "$module: trace channel")
    for %channel ? sort keys %channel : 'none';
  my @traced = $source =~ /pr_trace_msg\(\s*"?\w+"?,\s*([^,\s]+),/g;
  my ($levels) = section($html, 'Logging') =~ m{trace channel is.*?<table>(.*?)</table>}s;
  is_deeply([($levels // '') =~ m{<tr><td>(\d+)</td>}g], [sort { $a <=> $b } @{ unique(@traced) }], "$module: ... with its levels");

  my @order = $html =~ m{<h2><a name="(\w+)">}g;
  is_deeply(\@order, \@sections, "$module: the sections have the order of all modules");
}

for my $path (map { glob "$_/*.html" } @modules) {
  my ($dir, $page) = $path =~ m{(.*)/(.*)};
  my $text = slurp($path);
  my %anchor = map { $_ => 1 } $text =~ /(?:name|id)="([^"]+)"/g;
  is_deeply([grep { !$anchor{$_} } $text =~ /href="#([^"]+)"/g], [], "$page: all links within it lead somewhere");
  my @files = grep { !m{^\w+://} } $text =~ /(?:href|src|data)="([^"#]+)/g;
  is_deeply([grep { my $file = $_; !-e "$dir/$file" && !grep { -e "$_/$file" } @modules } @files], [],
    "$page: all links to other pages lead somewhere");

  my @places = $text =~ m{href="(\w+\.html#[^"]+)"}g;
  is_deeply([grep { my ($file, $name) = split /#/; (join '', map { slurp("$_/$file") } @modules) !~ /<a name="\Q$name\E">/ } @places], [],
    "$page: ... and to places in them");

  my ($contents) = $text =~ m{<h2>Contents</h2>(.*?)<hr>}s;
  is_deeply([($contents // '') =~ /href="#([^"]+)"/g], [$text =~ /<h[23]><a name="([^"]+)">/g],
    "$page: the contents are all headings in their order");
  like($text, qr{<meta charset="utf-8">}, "$page: names its charset");
  unlike($text, qr/all rights reserved/i, "$page: reserves no rights");
  my ($style) = $text =~ m{<style>(.*?)</style>}s;
  is($style, (slurp('mod_extip/mod_extip.html') =~ m{<style>(.*?)</style>}s)[0], "$page: looks as the others");
  unlike($text =~ s{<pre>.*?</pre>}{}gsr, qr/[.;] {2}\S/, "$page: one blank after a full stop");
}

# A text of the code as it is printed: X is what differs.
sub printed { my ($text) = @_; return $text =~ s/%[-+0-9.]*(?:ll|l|z)?[a-zA-Z]/X/gr }

# The pattern of the lines that begin as a row says, after the module's name.
sub begins {
  my ($cell) = @_;
  my $text = unescape($cell =~ s{<em>[^<]*</em>}{\x01}gr) =~ s/ \.\.\.$//r;
  my $pattern = join '\S.*?', map { quotemeta } split /\x01/, $text, -1;
  return qr/^(?:(?:mod_)?X: |: )?$pattern/;
}

# Each line that the default log can have begins as a row of the manual says, and
# no row says what is no line.
for my $module (@modules) {
  my $code = $source{$module} =~ s{/\*.*?\*/}{}gsr =~ s{'\\?"'}{}gr;
  my $log  = qr/extip_log|natpasv_log|natpasv_log_aloud|say_each_minute|keepalive_log|pr_log_pri|WARN|FAIL/;
  my %prefix = (WARN => 'warning: ', FAIL => 'error: ');
  my @lines = $code =~ /#define LOCAL_RUN_NOTICE \\\s*"([^"]+)"/g;
  while ($code =~ /\b($log)\s*\((?:[^()"#]|\([^()]*\))*?"((?:[^"\\]|\\.)+)"/g) {
    push @lines, ($prefix{$1} // '') . $2;
  }
  # Not what is passed on, nor the beginnings of macros.
  @lines = map { $_->[0] } grep { $_->[1] ne '%s' && $_->[1] !~ /^: (?:warning|error): (?:NATPasvRule )?$|^%s: %s$/ } map { [printed($_), $_] } @lines;
  cmp_ok(scalar @lines, '>', 10, "$module has lines for the log");
  my ($table) = section($html{$module}, 'Logging') =~ m{<table>(.*?)</table>}s;
  my @rows = map { split /,\s*(?=<code>)/ } ($table // '') =~ m{<tr><td>(.*?)</td>}sg;
  my @patterns = map { begins($_) } @rows;
  is_deeply([grep { my $line = $_; !grep { $line =~ $_ } @patterns } @lines], [], '... each is in the manual');
  my @texts = (map({ printed($_) } $code =~ /"((?:[^"\\]|\\.)*)"/g), @lines);
  is_deeply([grep { my $pattern = begins($_); !grep { $_ =~ $pattern } @texts } @rows], [], '... which has no other');
}

# A text is one string literal, or nobody finds the line that is in a log.
{
  my %broken = map {
    my $text = slurp($_) =~ s{/\*.*?\*/}{}gsr;
    my @found = $text =~ /("[^"\n]* [^"\n]*(?<!\\n)"\s*\n\s*"[^"\n]*")/g;
    @found ? ($_ => \@found) : ();
  } map { glob "$_/*.[ch]" } @modules;
  is_deeply(\%broken, {}, 'each text in the code is one literal') or diag explain \%broken;
}

# Kinds of sources, and how a source's status is worded.
{
  my $page  = slurp('mod_extip/mod_extip.html');
  my $guide = slurp('mod_extip/sources.html');
  my %scheme = map { $_ => 1 } $source{mod_extip} =~ /^ +ROW\(\w+, "(\w+)"/gm;
  my %status = map { $_ => 1 } slurp('mod_extip/round.c') =~ /^ +\[EXTIP_[A-Z_]+\] = "([a-z ]+)",/gm;

  ok($scheme{stun} && $status{timeout}, 'mod_extip has kinds of sources and words for their status');
  my ($sources) = $page =~ m{<h3><a name="ExtIPSource">.*?<table>(.*?)</table>}s;
  my ($kinds) = grep { /<code>stun:/ } $guide =~ m{<table>(.*?)</table>}sg;
  for (['mod_extip.html', $sources], ['sources.html', $kinds]) {
    my ($name, $table) = @$_;
    is_deeply(unique(map { /<code>([a-z0-9]+):/g } ($table // '') =~ m{<tr><td>(.*?)</td>}sg), [sort keys %scheme],
      "$name: the kinds of sources are those of the code");
  }
  is_deeply(unique(section($guide, 'Status') =~ m{<tr><td><code>([^<]+)</code>}g), [sort keys %status],
    'sources.html: each status is explained');
}

# What a page, an example or a notice names is there: no directive, metric, note,
# event, HOOK, action or kind of source that the code does not have.
{
  my $all = join '', values %source;
  my %directive = map { $_ => 1 } map { /\{\s*"(\w+)"/g } $all =~ /conftable \w+\[\] = \{(.*?)\n\};/sg;
  my %metric = map { $_ => 1 } $all =~ /"(proftpd_\w+)"/g;
  my %word   = map { $_ => 1 } $all =~ /"(mod_(?:extip|natpasv|keepalive)\.[\w-]+)"/g;
  my %hook   = map { $_ => 1 } $all =~ /\{ HOOK, "(\w+)"/g;
  my %action = map {
    my $prefix = $_ =~ s/^mod_//r;
    map { ("$prefix $_" => 1) } ($source{$_} =~ /ctrls_acttab_t \w+\[\] = \{(.*?)\n\};/s)[0] =~ /\{\s*"(\w+)"/g;
  } @modules;
  my %kind = map { $_ => 1 } $source{mod_extip} =~ /^ +ROW\(\w+, "(\w+)"/gm;
  for my $path ((map { glob "$_/*.html" } @modules), 'README.md', 'NEWS', glob('debian/examples/*'), 'debian/monitoring/alerts.yml', 'debian/monitoring/dashboard.json') {
    my $text = $path =~ /html$/ ? unescape(slurp($path) =~ s/<[^>]*>/ /gr) : slurp($path);
    my %unknown = (
      directives => [grep { !$directive{$_} } $text =~ /\b((?:ExtIP|NATPasv|Keepalive)[A-Z]\w+)/g],
      metrics => [grep { !$metric{$_} } $text =~ /\b(proftpd_(?:extip|natpasv|keepalive)_\w+)/g],
      'notes and events' => [grep { !$word{$_} } $text =~ /\b(mod_(?:extip|natpasv|keepalive)\.(?!(?:c|so|html|a)\b)[a-z][\w-]+)/g],
      HOOKs => [grep { !$hook{$_} } map { m{\bHOOKs? ((?:extip|natpasv|keepalive)_\w+)}g } $text],
      actions => [grep { !$action{$_} } $text =~ /\bftpdctl ((?:extip|natpasv|keepalive) [a-z]+)/g],
      kinds => [grep { !$kind{$_} } $text =~ /\bExtIPSource\s+([a-z0-9]+):/g],
    );
    is_deeply([map { "$_: @{ $unknown{$_} }" } grep { @{ $unknown{$_} } } sort keys %unknown], [], "$path names nothing that is not there");
  }
}

# Each symptom has a proof and a remedy, and a test that provokes it.
{
  my $page = Symptoms::page();
  cmp_ok(scalar keys %$page, '>=', 25, 'troubleshooting.html: at least 25 symptoms');
  is_deeply([grep { !$page->{$_}{remedy} || !grep { @{ $_->[1] } } @{ $page->{$_}{proofs} } } sort keys %$page], [], '... each with a line that proves it, and a remedy');
  my @with_two = grep { grep { $_->[0] =~ /^Log$|^ftpdctl extip check$/ } @{ $page->{$_}{proofs} } } keys %$page;
  cmp_ok(scalar @with_two, '>=', 25, '... at least 25 by the log or by ftpdctl extip check');
  my $tests = join '', map { slurp($_) } glob 't/symptoms-*.t';
  my %provoked = map { $_ => 1 } $tests =~ /\bsymptom\('(\w+)'/g, map({ split ' ' } $tests =~ /\bsymptom\(\$_,.*for qw\((.*?)\)/g),
    $tests =~ /\['(\w+)', (?:''|\$rootless)\]/g;
  is_deeply([grep { !$provoked{$_} && !$Symptoms::NOT_PROVOKED{$_} } sort keys %$page], [], '... each is provoked by a test, or there is a reason');
  is_deeply([grep { $provoked{$_} || !$page->{$_} } keys %Symptoms::NOT_PROVOKED], [], '... and no reason for what is');
}

for my $readme ('README.md', 't/README.md') {
  my ($dir) = $readme =~ m{^(.*/)?};
  for my $path (slurp($readme) =~ /\]\(([^)#]+)\)/g) {
    ok($path =~ m{^https?://} || -e ($dir // '') . $path, "$readme: $path exists");
  }
}

# The index of the tests has all of them, and no other.
{
  my $text = slurp('t/README.md');
  my ($index) = $text =~ /^## Index\n(.*)/ms;
  my %named = map { $_ => 1 } $index =~ /`([^`]+)`/g;
  my %there = map { s{^t/}{}r => 1 } grep { -f } map { glob "t/$_" }
    '*.t', 'unit/*.c', 'modules/*.c', 'tools/*.c', 'fuzz/*.c', 'bench/*', 'model/*';
  is_deeply([sort keys %named], [sort keys %there], 't/README.md: the index names each test')
    or diag map { "not in the index: $_\n" } sort grep { !$named{$_} } keys %there;
  my %library = map { $_ => 1 } $text =~ m{`(lib/[^`]+)`}g;
  is_deeply([sort keys %library], [map { s{^t/}{}r } sort glob 't/lib/*'], '... and the libraries');
}

done_testing;
