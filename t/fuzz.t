# Each fuzzer from its corpus: some thousand executions; with t/check --long, ten
# million.

use strict;
use warnings;
use Cwd qw(getcwd);
use File::Basename qw(basename);
use File::Temp qw(tempdir);
use Test::More;

plan skip_all => 'fuzzers have the sanitizers in every build: the plain run shows it' if $ENV{SANITIZE};
plan skip_all => 'clang is missing' unless grep { -x "$_/clang" } split /:/, $ENV{PATH};

my $build = $ENV{BUILD_DIR} // getcwd . '/build';
my @names = map { basename($_, '.c') } sort glob 't/fuzz/*.c';
my $said = `make -s -C $build/.. fuzz build=$build 2>&1`;
unless (is($?, 0, 'the fuzzers build')) {
  diag $said;
  done_testing;
  exit;
}
ok(scalar @names, 'there are fuzzers');

my $least = $ENV{LONG} ? 10_000_000 : 10_000;
my @running;
for my $name (@names) {
  my $dir = tempdir(CLEANUP => 1);    # what it finds does not go into the repository
  open my $out, '-|', "cd $dir && $build/fuzz/$name -runs=$least -timeout=5 -rss_limit_mb=2048 $dir @{[getcwd]}/t/fuzz/corpus/$name 2>&1"
    or die $!;
  push @running, [$name, $out];
}
for (@running) {
  my ($name, $out) = @$_;
  my @lines = readline $out;
  close $out;
  is($? >> 8, 0, "$name finds nothing") or diag @lines > 40 ? @lines[-40 .. -1] : @lines;
  my ($runs) = join('', @lines) =~ /Done (\d+) runs/;
  cmp_ok($runs // 0, '>=', $least, "$name was executed often enough") and note "$name: $runs executions";
}

done_testing;
