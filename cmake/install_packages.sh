#!/usr/bin/env bash
# Installs the Debian packages that Tidegate's groups of work need and that are missing. Does nothing, quickly, where
# nothing is missing. Never starts or needs a database service: the tests start servers of their own.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: cmake/install_packages.sh [--print] GROUP...
Installs missing Debian 12 packages with apt-get (as root, or through sudo).
  build   compiler, CMake, and every library that Tidegate and its examples link
  test    GoogleTest, RapidCheck, Google Benchmark, PostgreSQL 15, MariaDB 10.11, nats-server 2.9, node, Chromium; node and npm where there are none
  fuzz    clang with its sanitizer and fuzzer runtimes, and its linker
  lint    clang-format and clang-tidy
  --print only prints what is missing, one package a line
TEXT
}

declare -A groups=(
  [build]="g++ cmake ninja-build pkg-config ccache libssl-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libxxhash-dev libcli11-dev
           libsqlitecpp-dev libsqlite3-dev libpqxx-dev libpq-dev libmysqlcppconn-dev libmariadb-dev libdeflate-dev
           libnats-dev libboost-dev libcurl4-openssl-dev zlib1g-dev libzstd-dev libsimdjson-dev"
  [test]="libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev sqlite3 openssl procps curl postgresql mariadb-server nats-server nodejs npm
          chromium"
  [fuzz]="clang lld libclang-rt-14-dev"
  [lint]="clang-format clang-tidy"
)

print_only=
packages=()
while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --print) print_only=1 ;;
    build | test | fuzz | lint) read -r -a more <<<"${groups[$1]//$'\n'/ }"; packages+=("${more[@]}") ;;
    *) echo "install_packages.sh: unknown group or option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
((${#packages[@]})) || { usage >&2; exit 2; }
# Many install node from elsewhere; Debian's packages would put it away again.
if command -v node >/dev/null && command -v npm >/dev/null; then
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | grep -vxE 'nodejs|npm')
fi

command -v dpkg-query >/dev/null || {
  echo "install_packages.sh: this is not Debian; install these yourself: ${packages[*]}" >&2
  exit 1
}

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | awk '$1 == "installed" { print $2 }')
declare -A have=()
while read -r name; do have[$name]=1; done <<<"$installed"
missing=()
for package in "${packages[@]}"; do
  [[ -n ${have[$package]:-} ]] || missing+=("$package")
done

if [[ -n $print_only ]]; then
  ((${#missing[@]} == 0)) || printf '%s\n' "${missing[@]}"
  exit 0
fi
((${#missing[@]})) || exit 0

sudo=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || {
    echo "install_packages.sh: neither root nor sudo. Run as root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  sudo=(sudo)
fi

apt_get() {
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -y -o Dpkg::Use-Pty=0 \
    -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Packages of servers start them when installed, unless this policy says no. It is removed again in the end.
policy=/usr/sbin/policy-rc.d
made_policy=
forbid_services() {
  [[ ! -e $policy ]] || return 0
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
  "${sudo[@]}" chmod 755 "$policy"
  made_policy=1
}
log=$(mktemp)
clean_up() {
  [[ -z $made_policy ]] || "${sudo[@]}" rm -f "$policy"
  rm -f "$log"
}
trap clean_up EXIT

known() { LC_ALL=C apt-cache show --no-all-versions "$@" >/dev/null 2>&1; }
run_logged() { # a long apt log is of interest only where it failed
  if ! "$@" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    return 1
  fi
}

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
updated=
if ! known "${missing[@]}"; then
  echo "  apt-get update"
  run_logged apt_get update
  updated=1
fi
forbid_services
install() { run_logged apt_get install --no-install-recommends "${missing[@]}"; }
echo "  apt-get install"
if ! install; then
  [[ -z $updated ]] || { echo "install_packages.sh: apt-get install failed" >&2; exit 1; }
  echo "  the package lists seem old: apt-get update, then once more"
  run_logged apt_get update
  install
fi
echo "  done"
