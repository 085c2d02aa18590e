#!/usr/bin/env bash
# Checks that every relative link of the pages leads to a file of this repository. Blocks of code have no links, though
# `[&](int x)` looks like one.
set -euo pipefail
failed=0
for page in "$@"; do
  for target in $(awk '/^[ \t]*```/ { code = !code } !code' "$page" | grep -oE '\]\([^)# ]+' | sed 's/^](//' | grep -vE '^[a-z]+:'); do
    [[ -e $(dirname "$page")/$target ]] || { echo "$page: there is no $target"; failed=1; }
  done
done
exit $failed
