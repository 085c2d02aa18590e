#!/usr/bin/env bash
# debian_packages.sh SUITE FOLDER PACKAGE...: unpacks packages of another Debian suite, with all that they depend on, into
# FOLDER: servers that the machine's own suite has not got, or has only older ones of. Nothing of the machine changes.
#
#   FOLDER/root                 the files: FOLDER/root/usr/sbin/mysqld
#   FOLDER/run PROGRAM [ARG]... runs one of them (usr/sbin/mysqld, below root) with the libraries that lie beside it; it
#                               replaces itself, so the pid is the program's
#   FOLDER/packages             the name and version of each package, one a line
#
# A folder that is whole and was made of the same suite and packages is used as it is, without asking anybody. Those who
# ask at the same time wait for the first. apt checks the signatures with Debian's keyring. The archive is the one that the
# machine's own packages come from, or TIDEGATE_DEBIAN_ARCHIVE (a URI, that of the folder with "dists"), whose signatures
# TIDEGATE_DEBIAN_KEYRING checks where they are not Debian's.
# Exit codes: 0 the folder is whole; 75 the archive cannot be reached; 76 it has no such packages now; 77 this machine
# cannot do it (no apt, no keyring); 1 anything else.
set -euo pipefail
case ${1:---help} in --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
[ $# -ge 3 ] || { sed -n '2p' "$0" | cut -c 3- >&2; exit 2; }
suite=$1 folder=$2
shift 2

fail() { # CODE MESSAGE
  echo "debian_packages.sh: $2" >&2
  exit "$1"
}

mkdir -p "$(dirname "$folder")"
folder=$(cd "$(dirname "$folder")" && pwd)/$(basename "$folder")
wanted="$suite $*"
[ "$(cat "$folder/whole" 2>/dev/null || :)" != "$wanted" ] || exit 0

keyring=${TIDEGATE_DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
for tool in apt-get dpkg dpkg-deb flock; do
  command -v "$tool" >/dev/null || fail 77 "this needs $tool, so a Debian"
done
[ -e "$keyring" ] || fail 77 "$keyring is not there (Debian: debian-archive-keyring)"

exec 9>"$folder.lock"
flock 9
[ "$(cat "$folder/whole" 2>/dev/null || :)" != "$wanted" ] || exit 0

archive=${TIDEGATE_DEBIAN_ARCHIVE:-}
if [ -z "$archive" ]; then
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  archive=$(LC_ALL=C apt-get update --print-uris 2>/dev/null | sed -nE "s#^'(.*)/dists/$codename/InRelease'.*#\1#p" | head -n 1)
fi
[ -n "$archive" ] || fail 77 "the machine's sources of packages name no Debian archive; set TIDEGATE_DEBIAN_ARCHIVE"

# Built beside it and moved when it is whole. What is there already is either old or half of one.
new=$folder.new
rm -rf "$new" "$folder"
mkdir -p "$new/apt/lists/partial" "$new/apt/cache/archives/partial"
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
: >"$new/apt/status"
echo "deb [signed-by=$keyring] $archive $suite main" >"$new/apt/sources.list"
# Its own state, in which nothing is installed. The machine's settings (a proxy, say) hold, but for its hooks, which tidy up
# folders of the machine. The files belong to whoever runs this, so apt's own user could not write them.
cat >"$new/apt/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "$new/apt";
Dir::State::status "$new/apt/status";
Dir::State::Lists "$new/apt/lists";
Dir::Cache "$new/apt/cache";
Dir::Etc::sourcelist "$new/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "$new/apt";
APT::Default-Release "";
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
CONF

log=$new/apt/log
apt_get() { LC_ALL=C DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -q -y -c "$new/apt/apt.conf" "$@" >"$log" 2>&1 </dev/null; }
# A signature that does not hold must never look like a network that is away.
forged() { grep -qE 'GPG error|NO_PUBKEY|BADSIG|EXPKEYSIG|not signed|invalid signature' "$log"; }
give_up() { # WHAT
  local why
  why=$(grep -E '^(E|W|Err|  )' "$log" | head -n 8 || :)
  if forged; then
    fail 1 "$1: a signature does not hold:
$why"
  elif grep -qE 'Unable to locate package|has no installation candidate|unmet dependencies|does not have a Release file' "$log"; then
    fail 76 "$1: the archive has them not, or not all that they depend on:
$why"
  fi
  fail 75 "$1: the archive cannot be reached:
$why"
}
apt_get update || give_up "could not read the list of $suite's packages"
apt_get install --download-only "$@" || give_up "could not fetch $* of $suite"

mkdir "$new/root"
for package in "$new"/apt/cache/archives/*.deb; do
  dpkg-deb -f "$package" Package Version | sed -n 's/^[^:]*: //p' | paste -sd ' ' >>"$new/packages"
  # The owners that stand in a package need not exist here. Long paths and all, this is what dpkg itself does.
  dpkg-deb --fsys-tarfile "$package" | tar -x --no-same-owner --keep-directory-symlink -C "$new/root" ||
    fail 1 "could not unpack $(basename "$package") below $(dirname "$folder")"
done
rm -rf "$new/apt"

cat >"$new/run" <<'RUN'
#!/usr/bin/env bash
# run PROGRAM [ARGUMENT]...: a program below root, with the libraries that lie there.
root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/root
program=$root/$1
shift
[ -x "$program" ] || { echo "$program is not there" >&2; exit 127; }
loader=$(find "$root"/lib* "$root"/usr/lib* -name 'ld-linux*.so.[0-9]' -print -quit 2>/dev/null)
# What is linked statically needs none of this, and the loader refuses it.
if [ -z "$loader" ] || ! "$loader" --verify "$program" >/dev/null 2>&1; then exec "$program" "$@"; fi
libraries=$(find "$root"/lib* "$root"/usr/lib* -name 'lib*.so.*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd :)
exec "$loader" --library-path "$libraries" --argv0 "$program" "$program" "$@"
RUN
chmod 755 "$new" "$new/root" "$new/run"
echo "$wanted" >"$new/whole"
mv "$new" "$folder"
