#!/usr/bin/env bash
# check_definitions.sh [--self-test]: each class of the library has one definition.
#
# Two headers may name a class alike as long as no file includes both; the linker then takes one class's destructor for
# the other's objects, without a word, and which one it takes changes with the order of the files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Names what the files define twice. Reads our own formatting: namespaces open and close at the line's begin.
twice() {
  awk '
    FNR == 1 { depth = 0 }
    /^(inline )?namespace.*\{$/ {
      name = $0
      sub(/^(inline )?namespace ?/, "", name)
      sub(/ ?\{$/, "", name)
      spaces[++depth] = name == "" ? "(" FILENAME ")" : name
      next
    }
    /^\}  \/\/ namespace/ { if (depth > 0) --depth; next }
    /^(struct|class) [A-Za-z_]+( final)?( :.*)?( \{.*)?$/ && !/;$/ {
      name = $2
      scope = ""
      for (i = 1; i <= depth; ++i) scope = scope spaces[i] "::"
      if ((scope name) in where && where[scope name] != FILENAME) {
        print scope name " is defined in " where[scope name] " and in " FILENAME "; rename one"
        bad = 1
      }
      where[scope name] = FILENAME
    }
    END { exit bad }' "$@"
}

if [[ ${1:-} = --self-test ]]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  printf 'namespace a::b {\nstruct Row {\n  int x;\n};\n}  // namespace a::b\n' >"$folder/one.h"
  printf 'namespace a::b {\nnamespace {\nstruct Row {\n};\n}  // namespace\n}  // namespace a::b\n' >"$folder/hidden.cpp"
  printf 'namespace a::c {\nstruct Row {\n};\n}  // namespace a::c\n' >"$folder/elsewhere.h"
  twice "$folder"/one.h "$folder"/hidden.cpp "$folder"/elsewhere.h || { echo "it finds what is not there"; exit 1; }
  printf 'namespace a::b {\nclass Row final : public Base {\n};\n}  // namespace a::b\n' >"$folder/two.h"
  if twice "$folder"/one.h "$folder"/two.h >/dev/null; then echo "it does not find what is there twice"; exit 1; fi
  exit 0
fi
# shellcheck disable=SC2046
twice $(find src include -name '*.h' -o -name '*.cpp')
