#!/usr/bin/env bash
# npm_install.sh <folder> <package@version>...: exactly these packages below folder/node_modules, once.
#
# Those who ask at the same time wait for the first. A registry that does not answer is asked three times.
set -euo pipefail
case ${1:---help} in --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
folder=$1
shift
command -v npm >/dev/null || { echo "npm_install.sh: npm was not found; \`cmake/install_packages.sh test\` installs it" >&2; exit 1; }
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
[ "$(cat "$folder/installed" 2>/dev/null || :)" != "$*" ] || exit 0
log=$folder/npm.log
for pause in 5 20 0; do
  rm -rf "$folder/node_modules" "$folder/package-lock.json"
  echo '{"private": true, "type": "module"}' >"$folder/package.json"
  if (cd "$folder" && npm install --no-audit --no-fund --loglevel=error "$@") >"$log" 2>&1 9>&-; then
    echo "$*" >"$folder/installed"
    exit 0
  fi
  sleep $pause
done
echo "npm_install.sh: npm could not install $* in $folder:" >&2
cat "$log" >&2
exit 1
