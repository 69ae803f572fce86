package Seed;

# For tests that act at random: a seed, always printed. SEED=n repeats a run.

use strict;
use warnings;
use Test::More ();

our $seed = $ENV{SEED} // time ^ $$;

sub import {
  srand $seed;
  Test::More::diag("$0: SEED=$seed");
}

1;
