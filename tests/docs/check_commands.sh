#!/usr/bin/env bash
# Checks the ```sh blocks of the pages: each script of this repository that they call exists, each option given to one is
# in its --help, each CMake preset exists. Blocks after `<!-- run -->` are also run, in the repository's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

quickstart=
if [[ ${1:-} == --quickstart ]]; then
  quickstart=$2
  shift 2
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0
fail() { echo "$1" >&2; failed=1; }

# Lines "page:line<TAB>command", continuation lines joined; and each block to run in a file of its own.
awk -v scratch="$scratch" '
!inside && /^[ \t]*```sh/ { inside = 1; running = pending; pending = 0; held = ""; if (running) ++block; next }
inside && /^[ \t]*```[ \t]*$/ { inside = 0; next }
inside {
  if (running) print > (scratch "/run" block ".sh")
  line = held $0; held = ""
  if (sub(/\\$/, "", line)) { held = line; next }
  sub(/[ \t]#.*/, "", line)
  if (line ~ /[^ \t]/ && line !~ /^[ \t]*#/) printf "%s:%d\t%s\n", FILENAME, FNR, line
  next
}
/<!-- run -->/ { pending = 1; next }
/[^ \t]/ { pending = 0 }' "$@" >"$scratch/commands"

declare -A help=()
help_of() { # sets REPLY to a command's --help, asked once
  [[ -n ${help[$1]:-} ]] || help[$1]=$("$1" --help 2>&1) || { fail "$1 --help failed"; help[$1]=none; }
  REPLY=${help[$1]}
}

check_options() { # WHERE PROGRAM WORD...
  local where=$1 program=$2 word
  help_of "$program"
  for word in "${@:3}"; do
    [[ $word == --?* ]] || continue
    grep -qE -- "(^|[^a-z-])${word%%=*}([^a-z-]|$)" <<<"$REPLY" || fail "$where: $program has no option ${word%%=*}"
  done
}

while IFS=$'\t' read -r where line; do
  read -r -a words <<<"$line"
  # What stands before the command itself: variables, bash, and the servers' harness.
  while [[ ${words[0]:-} == *=* || ${words[0]:-} == bash || ${words[0]:-} == tests/servers/with_servers.sh ]]; do
    words=("${words[@]:1}")
  done
  command=${words[0]:-}
  case $command in
    */quickstart | quickstart | examples/quickstart/run.sh)
      [[ ! -x $quickstart ]] || check_options "$where" "$quickstart" "${words[@]:1}" ;;
    cmake/* | tests/* | examples/* | .ci/* | ./*)
      if [[ ! -x $command ]]; then fail "$where: there is no $command"; continue; fi
      [[ $command == .ci/* ]] || check_options "$where" "$command" "${words[@]:1}" ;;
    cmake | ctest)
      for ((i = 1; i + 1 < ${#words[@]}; ++i)); do
        [[ ${words[i]} != --preset ]] || grep -q "\"name\": \"${words[i + 1]}\"" CMakePresets.json ||
          fail "$where: there is no preset ${words[i + 1]}"
      done ;;
  esac
done <"$scratch/commands"

for block in "$scratch"/run*.sh; do
  [[ -e $block ]] || continue
  bash -euo pipefail "$block" >"$scratch/out" 2>&1 </dev/null || {
    fail "a block marked to run failed:"
    cat "$block" "$scratch/out" >&2
  }
done
exit $failed
