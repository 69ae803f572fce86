# t/mutants on a source of its own: a fault that the only test notices, one that
# it does not, one that nobody can; and what is a fault at all.

use strict;
use warnings;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Mutants;
use Test::More;

plan skip_all => 'the same with the sanitizers: the plain run shows it' if $ENV{SANITIZE};

# What is made of a line.
my @lines = (
  ['  if (a < b) {' => '  if (a <= b) {', '  if (a > b) {', '  if (0) {', '  if (1) {'],
  ['  return left != NULL && !right;' => '  return left == NULL && !right;', '  return left != NULL || !right;', '  return left != NULL && right;'],
  ['  close(fd);' => '  if (0) close(fd);'],
  ['  pr_log_pri(PR_LOG_ERR, "close");'],
  ['  x->count += 7;' => '  x->count += 8;', '  x->count -= 7;', '  if (0) x->count += 7;'],
  ['  open(path, O_RDWR | O_NOFOLLOW);' => '  open(path, O_RDWR);', '  open(path, O_NOFOLLOW);', '  if (0) open(path, O_RDWR | O_NOFOLLOW);'],
  ['  copy(from, to);' => '  copy(to, from);', '  if (0) copy(from, to);'],
  ['  if (strcmp(from, to) == 0)' => '  if (strcmp(from, to) != 0)', '  if (strcmp(from, to) == 1)'],
  ['  for (i = 0; i < sizeof(a) / sizeof(a[0]);)' => '  for (i = 1; i < sizeof(a) / sizeof(a[0]);)',
    '  for (i = 0; i <= sizeof(a) / sizeof(a[0]);)', '  for (i = 0; i > sizeof(a) / sizeof(a[0]);)'],
  ['#define LONGEST 63' => '#define LONGEST 64'],
  ['#include "x-1.h"'],
  ['/* if (a < b) close(1); */'],
  ['  say("a < b, 1 || 2");  // && 3' => '  if (0) say("a < b, 1 || 2");  // && 3'],
);
for (@lines) {
  my ($line, @wanted) = @$_;
  is_deeply([sort map { $_->{new} } Mutants::mutants($line)], [sort @wanted], "faults of: $line");
}
my @after = Mutants::mutants("/*\n * if (a < b) {\n */\n  x++;\n");
is_deeply([map { "$_->{line} $_->{new}" } @after], ['4   x--;'], 'a comment of many lines has none, what follows has');

# A tree with the two things that t/mutants asks for: a configure, and a Makefile
# with unit tests that write down what they include.
my $dir = tempdir(CLEANUP => 1);
make_path("$dir/mod_tiny", "$dir/t/unit", "$dir/t/lib");
sub file { my ($name, $text) = @_; open my $f, '>', "$dir/$name" or die "$name: $!"; print $f $text; close $f }
file('mod_tiny/tiny.c', <<'EOC');
int tiny(int a) {
  if (a > 9) {
    return 9;
  }
  return a < 0 ? 0 : a;
}
EOC
file('t/unit/tiny.c', <<'EOC');
#include <stdio.h>
#include "../../mod_tiny/tiny.c"
int main(void) {
  int good = tiny(5) == 5 && tiny(20) == 9;
  printf("%sok 1 - at most nine\n1..1\n", good ? "" : "not ");
  return !good;
}
EOC
# What is for a test of the whole module to notice, at two places.
file('mod_tiny/whole.c', <<'EOC');
int main(int argc, char **argv) {
  if (argc > 3)
    return 3;
  return argc > 1 ? argv[1][0] - '0' : 0;
}
EOC
file('t/tiny-whole.t', <<'EOC');
my $program = "$ENV{BUILD_DIR}/mod_tiny.so";
my $good = system($program, 4) >> 8 == 4 && system($program, 5, 5, 5) >> 8 == 3;
print $good ? '' : 'not ', "ok 1 - says what it was told\n1..1\n";
exit !$good;
EOC
file('t/mutants.spared', <<'EOC');
mod_tiny/tiny.c
  if (a > 9) { -> if (a >= 9) {
  Nine is nine, cut or not.
EOC
file('configure', <<'EOC');
#!/bin/sh
cat > Makefile <<END
testparts: build/unit/tiny build/mod_tiny/tiny.o build/mod_tiny.so
build/unit/tiny: ../../t/unit/tiny.c ../../mod_tiny/tiny.c
	mkdir -p build/unit build/deps
	cc -O1 -MMD -MF build/deps/unit-tiny.d -o \$@ \$<
build/mod_tiny/tiny.o: ../../mod_tiny/tiny.c
	mkdir -p build/mod_tiny
	cc -O1 -c -o \$@ \$<
build/mod_tiny/whole.o: ../../mod_tiny/whole.c
	cc -O1 -c -o \$@ \$<
build/mod_tiny.so: build/mod_tiny/whole.o
	cc -o \$@ build/mod_tiny/whole.o
END
EOC
chmod 0755, "$dir/configure";

my $tool = "$FindBin::Bin/mutants --top $dir --unit";
my $said = `$tool --file mod_tiny/tiny.c 2>&1`;
is($? >> 8, 1, 'something survives');
like($said, qr{^killed    mod_tiny/tiny\.c:2 condition never true: if \(a > 9\) \{ -> if \(0\) \{\n +unit/tiny\.c: 'at most nine'$}m,
  'a fault that a test notices, and in which words');
like($said, qr{^SURVIVED  mod_tiny/tiny\.c:5 constant changed: return a < 0 \? 0 : a; -> return a < 0 \? 1 : a;$}m, 'one that nobody notices');
unlike($said, qr{-> if \(a >= 9\)}, 'one that cannot be noticed is not tried');
like($said, qr{^\d+ killed, \d+ survived: \d+ %; 1 spared, \d+ no fault in the object file, 0 do not compile; seed \d+$}m, 'the count');

# Of faults without a unit test the others decide, of each of them.
my $whole = `$FindBin::Bin/mutants --top $dir --file mod_tiny/whole.c 2>&1`;
is(() = $whole =~ m{^killed .*\n +t/tiny-whole\.t: 'says what it was told'$}mg, 8, 'a test of the module notices fault after fault') or diag $whole;

# A test that fails without a fault as well has noticed none.
file('t/tiny-wrong.t', q{my $tired = -e 'ran'; open my $ran, '>', 'ran'; print $tired ? 'not ' : '', "ok 1 - is fresh\n1..1\n"; exit $tired});
my $tired = `$FindBin::Bin/mutants --top $dir --file mod_tiny/whole.c --line 4 2>&1`;
like($tired, qr{^fails without a fault: t/tiny-wrong\.t: 'is fresh'$}m, 'a test that fails without a fault is named') or diag $tired;
like($tired, qr{^  mod_tiny/whole\.c:4 .* \(t/tiny-wrong\.t\)$}m, '... and has noticed none') or diag $tired;
unlink "$dir/t/tiny-wrong.t";

my @twice = map { my $out = `$tool --list --random 4 --seed $_`; $out } 3, 3, 4;
is($twice[0], $twice[1], 'the same seed chooses the same faults');
isnt($twice[0], $twice[2], '... and another one others');
is(() = $twice[0] =~ /\n/g, 4, '... as many as were asked for');
is(`cd $dir && find . -newer configure -type f`, '', 'the sources are as they were');

# The spared are there, and each has its reason.
my $sources = "$FindBin::Bin/..";
open my $spared, '<', "$FindBin::Bin/mutants.spared" or die $!;
for my $entry (split /\n\s*\n/, join('', <$spared>) =~ s/^#.*\n//mgr) {
  my ($file, $change, $reason) = split /\n/, $entry =~ s/\A\n+//r;
  my ($old) = $change =~ /^\s+(.*) -> /;
  open my $source, '<', "$sources/$file" or fail("$file is spared and not there"), next;
  ok((grep { s/^\s+|\s+$//gr eq $old } <$source>), "spared in $file: $old");
  like($reason // '', qr/^\s+\w/, '... for a reason');
}

done_testing;
