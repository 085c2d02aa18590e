#!/usr/bin/env bash
# Usage: extract.sh OUT PAGE... : writes every ```cpp block of the pages into one C++ source, each in a namespace of its
# own, with #line, so that a compiler's message names the page and the line.
#
# A block is either a whole program (it has `int main`) or a fragment that follows `<!-- fixture: NAME -->`: it then takes
# the place of the line @BLOCK@ in fixtures/NAME.txt.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1
shift
awk -v fixtures="$here/fixtures" '
function fail(why) { printf "%s:%d: %s\n", FILENAME, start, why > "/dev/stderr"; bad = 1 }
function hoist(line) { # includes go to the top of the file, once; the line stays, empty
  if (line !~ /^[ \t]*#[ \t]*include/) return line
  if (!(line in seen)) { seen[line] = 1; includes = includes line "\n" }
  return ""
}
function wrap(name,   file, line, text, found, status, number) {
  file = fixtures "/" name ".txt"
  while ((status = (getline line < file)) > 0) {
    ++number
    if (line ~ /@BLOCK@/) { found = 1; text = text "#line " (start + 1) " \"" FILENAME "\"\n" block "#line " (number + 1) " \"" file "\"\n" }
    else text = text hoist(line) "\n"
  }
  close(file)
  if (status < 0) fail("no fixture " name)
  else if (!found) fail("fixture " name " has no @BLOCK@")
  return text
}
function finish(   text) {
  if (fixture != "") text = wrap(fixture)
  else if (block ~ /int main\(/) text = "#line " (start + 1) " \"" FILENAME "\"\n" block
  else fail("this block is no program: put <!-- fixture: NAME --> before it, NAME from tests/docs/fixtures")
  bodies = bodies "namespace block_" (++count) " {\n" text "}  // namespace\n"
}
!inside && /^[ \t]*```cpp/ { inside = 1; start = FNR; block = ""; fixture = pending; pending = ""; next }
inside && /^[ \t]*```[ \t]*$/ { inside = 0; finish(); next }
inside { block = block hoist($0) "\n"; next }
/<!-- fixture: [a-z_]+ -->/ { pending = $0; sub(/.*<!-- fixture: /, "", pending); sub(/ -->.*/, "", pending); next }
/[^ \t]/ { pending = "" }
END {
  if (bad) exit 1
  printf "// Made by tests/docs/extract.sh.\n%s\n", includes
  # Fragments need not use all that their fixture offers; a main in a namespace may not leave its return out.
  n = split("-Wreturn-type -Wunused-parameter -Wunused-variable -Wunused-but-set-variable", ignored, " ")
  for (i = 1; i <= n; i++) printf "#pragma GCC diagnostic ignored \"%s\"\n", ignored[i]
  printf "%s", bodies
}' "$@" >"$out.new"
mv "$out.new" "$out"
