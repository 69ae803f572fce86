# prepare.sh - sourced by t/check and t/demo: installs what is missing, builds.
# Expects the current directory to be the top of the repository.
#
# shellcheck shell=sh

# What building needs, what the demonstration needs, what the tests need.
build_packages='gcc libc6-dev make pkg-config proftpd-core proftpd-dev libcurl4-openssl-dev
  libminiupnpc-dev libssl-dev'
demo_packages='proftpd-mod-crypto perl libio-socket-ssl-perl openssl procps
  iproute2 nftables conntrack coturn nginx-light curl'
test_packages='proftpd-mod-proxy openssh-client miniupnpd-nftables haproxy libnginx-mod-stream
  libyaml-libyaml-perl lftp ncftp tnftp inetutils-ftp wget rclone gftp-text python3 tcpdump strace faketime clang libclang-rt-dev spin shellcheck'

say() { printf '%s\n' "$*"; }
give_up() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

missing() {
  for package; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
      grep -qx installed || printf '%s ' "$package"
  done
}

# Installs packages without starting the services among them: the tests start
# their own, in namespaces of their own.
install_packages() {
  wanted=$(missing "$@")
  [ -n "$wanted" ] || return 0
  command -v apt-get >/dev/null || give_up "missing: $wanted"
  [ "$(id -u)" = 0 ] || give_up "missing: $wanted(run with sudo to have them installed)"
  say "Installing $wanted"
  policy=/usr/sbin/policy-rc.d
  if [ -e $policy ]; then
    policy=
  else
    printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy
  fi
  log=$(mktemp)
  status=0
  # shellcheck disable=SC2086
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y install --no-install-recommends $wanted; } >"$log" 2>&1 </dev/null || status=$?
  [ -z "$policy" ] || rm -f "$policy"
  [ $status = 0 ] || cat "$log" >&2
  rm -f "$log"
  [ $status = 0 ] || give_up "apt-get could not install $wanted"
}

# build_in NAME [configure option]...: a build of its own under build/NAME.
build_in() {
  tree=build/$1
  shift
  mkdir -p "$tree"
  ( cd "$tree" && ../../configure --enable-werror "$@" >configure.out 2>&1 &&
    make -s -j"$(nproc)" testparts >make.out 2>&1 ) || {
    cat "$tree/configure.out" "$tree/make.out" >&2
    give_up "the build in $tree failed"
  }
  # Pages of a file that is not on disk yet count as private in a process that
  # maps it, which is what t/*-cost.t look at.
  sync
}
