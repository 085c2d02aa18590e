#!/usr/bin/env bash
# Shows that extract.sh and check_commands.sh catch what they are there to catch.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# expect ok|bad SCRIPT... : runs it on the page read from stdin
expect() {
  local want=$1 got=ok
  shift
  cat >"$scratch/page.md"
  "$@" "$scratch/page.md" >"$scratch/out" 2>&1 || got=bad
  [[ $got == "$want" ]] || { echo "expected $want of:"; cat "$scratch/page.md" "$scratch/out"; failed=1; }
}
extract=("$here/extract.sh" "$scratch/blocks.cpp")
check=("$here/check_commands.sh")

printf '```cpp\nint main() {}\n```\n' | expect ok "${extract[@]}"
printf '```cpp\nfoo();\n```\n' | expect bad "${extract[@]}"
printf '<!-- fixture: no_such -->\n```cpp\nfoo();\n```\n' | expect bad "${extract[@]}"
printf '```sh\ntests/run.sh --quick\n```\n' | expect ok "${check[@]}"
printf '```sh\nCI=true tests/run.sh --no-such-option  # comment\n```\n' | expect bad "${check[@]}"
printf '```sh\ntests/no_such.sh\n```\n' | expect bad "${check[@]}"
printf '```sh\ncmake --preset release\n```\n' | expect ok "${check[@]}"
printf '```sh\ncmake --preset no-such\n```\n' | expect bad "${check[@]}"
printf '<!-- run -->\n```sh\ntrue\n```\n' | expect ok "${check[@]}"
printf '<!-- run -->\n```sh\nfalse\n```\n' | expect bad "${check[@]}"
exit $failed
