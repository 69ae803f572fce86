# The ports and the queue, model-checked: two client addresses with three
# sessions, two ports, a death at any step, a session that is stopped. And the
# model notices when it is wrong: of seven faults one is tried, with LONG all.

use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Seed;
use Test::More;

plan skip_all => 'spin (Debian package spin) is missing' unless -x '/usr/bin/spin';
plan skip_all => 'a model is the same with the sanitizers: the plain run shows it' if $ENV{SANITIZE};

my $model = do { local (@ARGV, $/) = "$FindBin::Bin/model/natpasv-queue.pml"; <> };

# Ports, sessions, rounds of each, and deaths: looked through in seconds.
my @sizes = ([2, 3, 1, 2], [2, 3, 2, 1], [1, 3, 1, 1]);

# (errors, states) of the model with some of its text replaced, in all sizes.
sub check {
  my ($from, $to) = @_;
  my $dir  = tempdir('natpasv-model-XXXXXX', TMPDIR => 1, CLEANUP => 1);
  my ($errors, $states) = (0, 0);
  for my $size (@sizes) {
    my $text = $model;
    if (defined $from) {
      $text =~ s/\Q$from\E/$to/ or die "the model has no '$from'";
    }
    my @words = qw(PORTS SESSIONS ROUNDS DEATHS);
    $text =~ s/^#define $words[$_] +\d/#define $words[$_] $size->[$_]/m for 0 .. $#words;
    open my $file, '>', "$dir/model.pml" or die $!;
    print $file $text;
    close $file;
    my $said = `cd $dir && spin -a model.pml && gcc -O0 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m400000 2>&1`;
    $said =~ /errors: (\d+)/ or diag($said);
    $errors += $1 // 1;
    $states += $1 if $said =~ /(\d+) states, stored/;
    return ($errors, $states) if $errors;
  }
  return ($errors, $states);
}

my ($errors, $states) = check();
is($errors, 0, 'no port is lost, none has two listeners, no client has more than its share, nobody waits for ever');
cmp_ok($states, '>', 500_000, "... in $states states");

my @wrong = (
  ['a sweep that does not look whether the owner lives', ':: owner[p] != 0 && !alive[owner[p]] -> take_back(p)', ':: owner[p] != 0 -> take_back(p)'],
  ['a port that comes back to nobody', "OR_DIE;\n    serve();\n    leave()", "OR_DIE;\n    leave()"],
  ['a turn that is nothing for a moment while a port is handed over', "quit(n)\n      };\n      OR_DIE;", "quit(n); turn[n] = 0\n      };\n      OR_DIE;"],
  ['a rebuilt table where who waits keeps a port', ':: owner[p] != 0 && turn[owner[p]] == WAITS -> owner[p] = 0', ':: false -> skip'],
  ['a rebuilt table that does not count', ':: owner[p] != 0 && turn[owner[p]] != WAITS -> held[CLIENT(owner[p])]++', ':: owner[p] != 0 && turn[owner[p]] != WAITS -> skip'],
  ['a client that takes more than its share', "if\n    :: MAY(CLIENT(me)) -> atomic { give(me); port = p }", "if\n    :: FREE > 0 -> atomic { give(me); port = p }"],
  ['a lock that dies with its holder', ':: atomic { lock != 0 && !alive[lock] -> lock = me; stolen = true }', ':: false -> skip'],
);
for my $case ($ENV{LONG} ? @wrong : $wrong[rand @wrong]) {
  my ($what, $from, $to) = @$case;
  ok((check($from, $to))[0], "the model refuses $what");
}

done_testing;
