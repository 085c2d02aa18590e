#!/usr/bin/env bash
# Checks that every relative link of the pages leads to a file of this repository.
set -euo pipefail
failed=0
for page in "$@"; do
  for target in $(grep -oE '\]\([^)# ]+' "$page" | sed 's/^](//' | grep -vE '^[a-z]+:'); do
    [[ -e $(dirname "$page")/$target ]] || { echo "$page: there is no $target"; failed=1; }
  done
done
exit $failed
