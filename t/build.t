# What a packager and a source builder do: configure, make, install; one
# visible symbol a module; a ProFTPD of another release is refused in words;
# what the modules share is the same in each.

use strict;
use warnings;
use Cwd qw(getcwd);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Net 'private';
use Server;
use Test::More;

plan skip_all => 'builds of its own: the plain run shows it' if $ENV{SANITIZE};

my $top = getcwd;
my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
my @modules = qw(mod_extip mod_natpasv mod_keepalive);

sub sh { my ($command) = @_; my $said = `cd $dir && $command 2>&1`; return ($? >> 8, $said) }

# As the daemon under test is, if it is not the system's.
my $with = $ENV{PROFTPD} ? '--with-proftpd=' . ($Server::DAEMON =~ s{/sbin/proftpd$}{}r) : '';

# The build under test lies away from the sources as well.
my ($status, $said) = sh("$top/configure --enable-werror $with && make -s -C $Server::BUILD/.. install DESTDIR=$dir/root");
is($status, 0, 'configure and make install DESTDIR work away from the sources') or diag $said;
my ($moduledir, $docdir) = map { slurp("$dir/Makefile") =~ /^$_ *= (.*)/m } qw(moduledir docdir);
ok(-f "$dir/root$moduledir/$_.so", "$_.so is where ProFTPD looks for modules") for @modules;
my @pages = map { m{([^/]+)$} } glob "$top/mod_*/*.{html,svg}";
ok(-f "$dir/root$docdir/$_", "$_ is installed") for @pages;

for my $module (@modules) {
  my @symbols = split /\n/, `nm -D --defined-only $dir/root$moduledir/$module.so`;
  is(scalar @symbols, 1, "$module.so shows one symbol") or diag join "\n", @symbols;
  like($symbols[0] // '', qr/ \Q@{[$module =~ s{^mod_}{}r]}\E_module$/, "$module.so shows its module structure");
}

SKIP: {
  skip 'clang is missing', 1 unless grep { -x "$_/clang" } split /:/, $ENV{PATH};
  make_path("$dir/clang");
  # Its warnings are the same without optimization.
  ($status, $said) = sh("cd clang && $top/configure --enable-werror CC=clang CFLAGS=-O0 && make -s -j2");
  is($status, 0, 'clang takes the same sources with -Wall -Wextra -Werror') or diag $said;
}

# Each missing part is one line that says what brings it.
make_path("$dir/old");
system(q{printf '#define PROFTPD_VERSION_NUMBER 0x0001030609\n#define PROFTPD_VERSION_TEXT "1.3.6e"\n'} . " | tee $dir/old/conf.h > $dir/old/version.h");
my %missing = (
  '--with-proftpd=/nowhere' => qr{^configure: no /nowhere/sbin/proftpd: },
  "--with-proftpd-headers=$dir" => qr{^configure: no ProFTPD headers in '\Q$dir\E': apt-get install proftpd-dev},
  "--with-proftpd-headers=$dir/old" => qr{^configure: ProFTPD 1\.3\.6e is too old: 1\.3\.7 or later is needed$},
  'PKG_CONFIG=false' => qr{^configure: libcurl >= 7\.66 is missing: apt-get install libcurl4-openssl-dev},
  'CFLAGS=-O9x' => qr{^configure: 'gcc' with CFLAGS='-O9x' makes no program: .*-O},
  "'CPPFLAGS=-D__GCC_ATOMIC_LLONG_LOCK_FREE=1 -D__atomic_is_lock_free(size,at)=0'" =>
    qr{^configure: atomics of 64 bits are not lock-free with 'gcc' and CFLAGS='-O2 -g': sessions could not share memory},
  'CC=nonesuch' => qr{^configure: no C compiler 'nonesuch': apt-get install gcc},
  '--wrong' => qr{^configure: unknown option '--wrong'},
);
for my $option (sort keys %missing) {
  ($status, $said) = sh("mkdir -p other && cd other && $top/configure $option");
  isnt($status, 0, "configure $option fails");
  like($said, $missing{$option}, "configure $option says why and what to do");
  is(($said =~ tr/\n//), 1, "configure $option says it in one line");
}

# In a ProFTPD source tree, where config.h and the other headers are in different
# directories, and those of the modules must not be taken for them.
make_path("$dir/tree/include", "$dir/tree/contrib");
my ($include) = slurp("$dir/Makefile") =~ /-isystem (\S+)/;
system("cp -r $include/* $dir/tree/include && mv $dir/tree/include/config.h $dir/tree");
open my $rules, '>', "$dir/tree/Make.rules" or die $!;
print $rules "CC=gcc\nAR=ar\nRANLIB=ranlib\nCFLAGS=-O0 -w -Werror=implicit-function-declaration\nLIBEXECDIR=/usr/lib/proftpd\n";
close $rules;
for my $module (@modules) {
  system("cp -r $top/$module $dir/tree/contrib");
  ($status, $said) = sh("make -s -j2 -C tree/contrib/$module static");
  is($status, 0, "$module compiles in ProFTPD's source tree") or diag substr $said, 0, 2000;
}

# Headers of the next release, daemon of this one: what a forgotten rebuild
# after an upgrade looks like.
my ($headers) = slurp("$dir/Makefile") =~ /-isystem (\S+)/;
make_path("$dir/next");
system("cp -r $headers $dir/next/proftpd");
my $version = slurp("$dir/next/proftpd/version.h");
$version =~ s/(PROFTPD_VERSION_NUMBER\s+0x)\w+/${1}0001030A05/;
$version =~ s/(PROFTPD_VERSION_TEXT\s+)"[^"]+"/$1"1.4.0"/;
chmod 0644, "$dir/next/proftpd/version.h";
open my $file, '>', "$dir/next/proftpd/version.h" or die $!;
print $file $version;
close $file;
my ($daemon) = `$Server::DAEMON -v 2>&1` =~ /Version (\S+)/;
($status, $said) = sh("$top/configure $with --with-proftpd-headers=$dir/next/proftpd");
isnt($status, 0, 'configure sees that headers and daemon are of different releases');
like($said, qr/headers in \S+ are of ProFTPD 1\.4\.0, \S+ is \Q$daemon\E/, '... and says so');
# The one file that compares them is compiled anew; the others are as they were.
system("mkdir $dir/next/build && cp -r @{[map { qq($Server::BUILD/$_) } @modules]} $dir/next/build") == 0
  && unlink(map { "$dir/next/build/$_/$_.o" } @modules) == @modules or die 'no objects of the build under test';
($status, $said) = sh("sed 's|-isystem $headers|-isystem $dir/next/proftpd|; s|^build .*|build = next/build|' Makefile > next/Makefile && make -s -j2 -f next/Makefile CFLAGS=-O0 @{[map { qq(next/build/$_.so) } @modules]}");
is($status, 0, 'the modules build for another release') or diag $said;
for my $module (@modules) {
  ($status, $said) = Server->configtest(modules => [$module], build => "$dir/next/build");
  isnt($status, 0, "$module built for another release does not load");
  like($said, qr{\Q$module\E/\S+: built for ProFTPD 1\.4\.0, this is ProFTPD \Q$daemon\E: rebuild the module},
    "$module says why");
}

# A ProFTPD tree builds a module by its own Makefile. That of mod_extip names what
# is the module's; the rest is the helper's.
{
  my %listed;
  $listed{$_}++ for map { s/\\\n//gr =~ /= *(.*)/ ? split ' ', $1 : () } slurp("$top/mod_extip/files.mk") =~ /^((?!extip_upnp_both)extip_\w+ = (?:.*\\\n)*.*)/mg;
  cmp_ok(scalar keys %listed, '>', 10, 'mod_extip/files.mk lists files');
  is_deeply([grep { $listed{$_} > 1 || !-f "$top/mod_extip/$_.c" } sort keys %listed], [], '... each of them once, and it is there');
}
for my $module (grep { $_ ne 'mod_extip' } @modules) {
  my ($files) = slurp("$top/$module/Makefile") =~ /^MODULE_FILES=((?:.*\\\n)*.*)/m;
  my @listed = sort grep { /\w/ } split /[\s\\]+/, $files;
  is_deeply(\@listed, [sort map { m{([^/]+)\.c$} } glob "$top/$module/*.c"], "$module/Makefile lists what there is to compile");
}

# Each header that modules share is one text.
for my $name (sort { $a cmp $b } keys %{ { map { s{.*/}{}r => 1 } glob "$top/mod_*/common_*" } }) {
  my %texts = map { slurp($_) => 1 } glob "$top/mod_*/$name";
  is(scalar keys %texts, 1, "$name is the same in each module that has it");
}

sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> }

done_testing;
