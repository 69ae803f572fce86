# The allocator, model-checked: three sessions, two ports, claim, release, a
# crash at any instruction, sweep. And the model notices when it is wrong.

use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

plan skip_all => 'spin (Debian package spin) is missing' unless -x '/usr/bin/spin';

my $model = do { local (@ARGV, $/) = "$FindBin::Bin/model/natpasv-lease.pml"; <> };

# (errors, states) of the model with some of its text replaced.
sub check {
  my ($from, $to) = @_;
  my $dir  = tempdir('natpasv-model-XXXXXX', TMPDIR => 1, CLEANUP => 1);
  my $text = $model;
  if (defined $from) {
    $text =~ s/\Q$from\E/$to/ or die "the model has no '$from'";
  }
  open my $file, '>', "$dir/model.pml" or die $!;
  print $file $text;
  close $file;
  my $said = `cd $dir && spin -a model.pml && gcc -O1 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000 2>&1`;
  my ($errors) = $said =~ /errors: (\d+)/ or diag($said);
  my ($states) = $said =~ /(\d+) states, stored/;
  return ($errors, $states);
}

my ($errors, $states) = check();
is($errors, 0, 'no port is lost, none has two listeners, and no refusal is untrue');
cmp_ok($states, '>', 1_000_000, "... in $states states");

my @wrong = (
  ['a sweep that does not look whether the owner lives', '!alive[seen] ->', 'true ->'],
  ['a sweep that forgets stale hints', 'seen == 0 && taken[p] -> HINT_FREE(p)', 'false -> skip'],
  ['a claim that is no compare-and-swap', ':: owner[port] == 0 -> owner[port] = me', ':: true -> owner[port] = me'],
  ['a hint that is set for another session, be it for a moment', ':: else -> skip',
    ':: else -> taken[port] = true; if :: owner[port] == 0 -> taken[port] = false :: else fi'],
);
for my $case (@wrong) {
  my ($what, $from, $to) = @$case;
  ok((check($from, $to))[0], "the model refuses $what");
}

done_testing;
