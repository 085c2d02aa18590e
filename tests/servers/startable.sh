#!/usr/bin/env bash
# startable.sh FOLDER PROGRAM...: programs that debian_packages.sh unpacked into FOLDER can be started by their paths, as
# servers and their tools start one another: FOLDER/root/PROGRAM becomes a script that runs PROGRAM.real, which lies beside
# it, with the libraries of its own suite. What is such a script already, or is no program of the machine, stays as it is.
set -euo pipefail
case ${1:---help} in --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
[ $# -ge 2 ] || { sed -n '2p' "$0" | cut -c 3- >&2; exit 2; }
folder=$(readlink -f "$1")
shift
exec 9>"$folder.lock"
flock 9
for program in "$@"; do
  file=$(readlink -f "$folder/root/$program")
  [ "$(head -c 4 "$file" | tail -c 3)" = ELF ] || continue
  ln -f "$file" "$file.real"
  cat >"$file.new" <<SCRIPT
#!/usr/bin/env bash
file=\$(readlink -f "\${BASH_SOURCE[0]}")
folder=\${file%/root/*}
exec "\$folder/run" "\${file#"\$folder/root/"}.real" "\$@"
SCRIPT
  chmod 755 "$file.new"
  mv "$file.new" "$file"
done
