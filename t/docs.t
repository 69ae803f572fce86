# The directive table of each module, the usage comments above its handlers
# and its HTML page tell the same story.

use strict;
use warnings;
use Test::More;

sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> }

sub unescape { my ($t) = @_; return $t =~ s/<[^>]+>//gr =~ s/&lt;/</gr =~ s/&gt;/>/gr =~ s/&quot;/"/gr =~ s/&amp;/&/gr =~ s/\s+/ /gr =~ s/^ | $//gr }

# In usage comments a value is a bare word, in HTML it is in <em>; both are
# compared without brackets around values and without blanks.
sub bare { my ($t) = @_; return $t =~ s/[<>\s]//gr }

for my $module (qw(mod_extip mod_natpasv mod_keepalive)) {
  my $source = join '', map { slurp($_) } sort glob "$module/*.c";
  my $html   = slurp("$module/$module.html");
  my ($table) = $source =~ /static conftable \w+\[\] = \{(.*?)\n\};/s;
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
    like($html, qr{<a href="#$name">}, "$name is in the page's list of directives");
    my ($entry) = $html =~ m{<a name="$name">(.*?)(?:<hr|<h2|<h3><a name)}s;
    like($entry // '', qr{<strong>\Q$_\E:</strong>}, "$name: $_ is told") for qw(Default Context Module Compatibility);
  }
  my @names = map { m{([^/]+)$} } glob "$module/*.html";
  for my $page (@names) {
    my $text = slurp("$module/$page");
    my %anchor = map { $_ => 1 } $text =~ /(?:name|id)="([^"]+)"/g;
    is_deeply([grep { !$anchor{$_} } $text =~ /href="#([^"]+)"/g], [], "$page: all links within it lead somewhere");
    my @files = grep { !m{^\w+://} } $text =~ /href="([^"#]+)"/g;
    is_deeply([grep { !-e "$module/$_" && !-e "$module/../" . s{^(mod_\w+)\.html$}{$1/$1.html}r } @files], [],
      "$page: all links to other pages lead somewhere");
  }
}

my $readme = slurp('README.md');
for my $path ($readme =~ /\]\(([^)#]+)\)/g) {
  ok($path =~ m{^https?://} || -e $path, "README.md: $path exists");
}

done_testing;
