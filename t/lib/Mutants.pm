package Mutants;

# Single faults in C, each in one line of text: what a tired person might have
# written. No compiler: what does not compile is no mutant.

use strict;
use warnings;

# Calls that nobody can miss: what is logged is looked at by other means, and
# memory that is not freed is not noticed from outside.
my $SPARED = qr/^(?:\w*log\w*|pr_trace_msg|free|pr_signals_handle|assert|memset|_exit|exit|va_(?:start|end))$/;

# The line with what is text blanked: strings, characters, comments. Positions
# stay.
sub bare {
  my ($line, $in_comment) = @_;
  my $blank = sub { ' ' x length $_[0] };
  $line =~ s{^(.*?\*/)}{$blank->($1)}e if $in_comment;
  $line =~ s{(sizeof\(\w+\[0\]\))}{$blank->($1)}ge;    # any element has the size of the first
  $line =~ s{("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|/\*.*?\*/|/\*.*|//.*)}{$blank->($1)}ge;
  return $line;
}

# Each of these finds places in a bare line: a pattern, and what is put there.
# The first group, if there is one, is what is replaced.
my @KINDS = (
  ['comparison turned', qr/ (==) /, '!='],
  ['comparison turned', qr/ (!=) /, '=='],
  ['comparison moved by one', qr/ (<) /,  '<='],
  ['comparison moved by one', qr/ (<=) /, '<'],
  ['comparison moved by one', qr/ (>) /,  '>='],
  ['comparison moved by one', qr/ (>=) /, '>'],
  ['comparison turned', qr/ (<=?) /, '>'],
  ['comparison turned', qr/ (>=?) /, '<'],
  ['and for or', qr/ (&&)(?: |$)/, '||'],
  ['or for and', qr/ (\|\|)(?: |$)/, '&&'],
  ['negation dropped', qr/[( ](!)[\w(]/, ''],
  ['condition never true', qr/\bif (\(.*\)) \{$/, '(0)'],
  ['condition always true', qr/\bif (\(.*\)) \{$/, '(1)'],
  ['constant changed', qr/(?<![\w.-])(\d+)(?![\w.])/, sub { $_[0] + 1 }],
  ['constant changed', qr/\b(true)\b/, 'false'],
  ['constant changed', qr/\b(false)\b/, 'true'],
  ['sign turned', qr/ (\+) /, '-'],
  ['sign turned', qr/ (-) /, '+'],
  ['sign turned', qr/(\+\+)/, '--'],
  ['sign turned', qr/ (\+=) /, '-='],
  ['failure reported as success', qr/\breturn (-1);/, '0'],
  ['option ignored', qr/( \| [A-Z_]{3,})\b/, ''],
  ['option ignored', qr/(\b[A-Z_]{3,} \| )/, ''],
  ['arguments swapped', qr/\w\((\w[\w.>-]*), (\w[\w.>-]*)(?=[,)])/, undef],
);

# mutants($text): { line, kind, old, new } with the whole line of before and
# after; lines count from 1.
sub mutants {
  my ($text) = @_;
  my ($number, $in_comment, @found) = (0, 0);
  for my $line (split /\n/, $text) {
    $number++;
    my $bare = bare($line, $in_comment);
    my $commented = $in_comment;
    $in_comment = 1 if ($line =~ s/"(?:\\.|[^"\\])*"//gr) =~ m{/\*(?!.*\*/)};
    $in_comment = 0 if $line =~ m{\*/};
    next if $bare !~ /\S/ or $commented && $line !~ m{\*/} or $line =~ /^#(?!\s*define \w+ )|^\s*case .*:$|_Static_assert|^\s*(?:\w*log\w*|pr_trace_msg)\(/;
    my $found = sub { my ($kind, $new) = @_; push @found, { line => $number, kind => $kind, old => $line, new => $new } if $new ne $line };
    for (@KINDS) {
      my ($kind, $pattern, $put) = @$_;
      while ($bare =~ /$pattern/g) {
        my ($start, $end) = ($-[1], $+[1]);
        next if !defined $put and $bare =~ /\b(?:str|mem)\w*cmp\(.*[!=]= 0/;    # the same either way
        # A buffer may be one longer.
        next if $kind eq 'constant changed' and $start > 0 and substr($bare, $start - 1, 1) eq '[' and $bare =~ /^\s*(?:static |const |unsigned )*(?:char|int|long|double|struct \w+|\w+_t) [^()=]*\[\d+\]/;
        my $new = $line;
        if (!defined $put) {
          my ($a, $b) = ($1, $2);
          substr $new, $start, $+[2] - $start, "$b, $a";
        } else {
          substr $new, $start, $end - $start, ref $put ? $put->($1) : $put;
        }
        $found->($kind, $new);
      }
    }
    # A statement left out; where it goes on in the next line, its head decides.
    if ($bare =~ /^(\s+)((?:\(void\) )?(\w+)\(.*[;,(])\s*$/ and $3 !~ $SPARED and $3 !~ /^(?:if|for|while|switch|return|sizeof)$/) {
      $found->('call left out', "$1if (0) " . substr $line, length $1);
    } elsif ($bare =~ /^(\s+)[\w.>\[\]*-]+ [|&+-]?= .*;$/) {
      $found->('assignment left out', "$1if (0) " . substr $line, length $1);
    }
  }
  return @found;
}

1;
