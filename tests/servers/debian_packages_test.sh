#!/usr/bin/env bash
# debian_packages_test.sh: what debian_packages.sh says where it cannot have the packages, and that it asks nobody where it
# has them. Needs no network.
set -euo pipefail
unpack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/debian_packages.sh
dir=$(mktemp -d /tmp/tidegate-packages.XXXXXX)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $1" >&2; cat "$dir/said" >&2; exit 1; }
expect() { # CODE WORDS COMMAND...
  local code=$1 words=$2 got=0
  shift 2
  "$@" >"$dir/said" 2>&1 || got=$?
  [ "$got" = "$code" ] || fail "exit code $got instead of $code"
  [ -z "$words" ] || grep -q "$words" "$dir/said" || fail "it does not say \"$words\""
}

if ! command -v apt-get >/dev/null || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
  expect 77 "" "$unpack" sid "$dir/none" hello
  exit 0
fi

# Nobody listens on the port of tcpmux.
expect 75 "cannot be reached" env TIDEGATE_DEBIAN_ARCHIVE=http://127.0.0.1:1/debian "$unpack" sid "$dir/away" hello
[ ! -e "$dir/away" ] && [ ! -e "$dir/away.new" ] || fail "half a folder is left behind"

mkdir -p "$dir/forged/dists/sid/main/binary-$(dpkg --print-architecture)"
touch "$dir/forged/dists/sid/main/binary-$(dpkg --print-architecture)/Packages"
echo "Suite: sid" >"$dir/forged/dists/sid/Release"
expect 1 "a signature does not hold" env TIDEGATE_DEBIAN_ARCHIVE="file:$dir/forged" "$unpack" sid "$dir/unsigned" hello

mkdir -p "$dir/empty"
expect 76 "has them not" env TIDEGATE_DEBIAN_ARCHIVE="file:$dir/empty" "$unpack" sid "$dir/unknown" hello

mkdir "$dir/whole"
echo "sid hello" >"$dir/whole/whole"
expect 0 "" env TIDEGATE_DEBIAN_ARCHIVE=http://127.0.0.1:1/debian "$unpack" sid "$dir/whole" hello
expect 75 "cannot be reached" env TIDEGATE_DEBIAN_ARCHIVE=http://127.0.0.1:1/debian "$unpack" sid "$dir/whole" other
echo OK
