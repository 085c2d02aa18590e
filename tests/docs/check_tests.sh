#!/usr/bin/env bash
# Checks that every test that docs/guarantees.md names, as `Suite.Name`, is written somewhere under tests/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0
declare -A known=()
while read -r name; do known[$name]=1; done < <(
  find tests \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 awk '
    /^(TYPED_|RC_GTEST_)?(TEST|TEST_F|TEST_P|TEST_SUITE_P|FIXTURE_PROP|PROP)\(/ {
      line = $0
      if (line !~ /,.*[A-Za-z0-9_]/ && (getline more) > 0) line = line more
      sub(/^[^(]*\( */, "", line); gsub(/ *, */, ".", line); sub(/[^A-Za-z0-9_.].*/, "", line)
      print line
    }')
for name in $(grep -oE '`[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9_]+`' "${1:-docs/guarantees.md}" | tr -d '`'); do
  [[ -n ${known[$name]:-} ]] || { echo "docs/guarantees.md: there is no test $name"; failed=1; }
done
exit $failed
