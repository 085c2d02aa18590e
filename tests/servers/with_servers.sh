#!/usr/bin/env bash
# with_servers.sh <command> [argument...]: runs the command beside a private Postgres and a private MariaDB or MySQL.
#
# Both live in a new folder under /tmp, listen on loopback ports found at the start and on unix sockets, and are stopped
# and removed when the command ends, fails or is interrupted. The command sees
#   TIDEGATE_POSTGRES_URL, TIDEGATE_MYSQL_URL    an account that may do everything, over the unix socket
#   TIDEGATE_POSTGRES_PORT, TIDEGATE_MYSQL_PORT  the same servers on 127.0.0.1 and localhost, with TLS
#   TIDEGATE_POSTGRES_CTL, TIDEGATE_MYSQL_CTL    run these with start, stop, kill9, freeze or thaw
#   TIDEGATE_REPLICA_URL, TIDEGATE_REPLICA_CTL   a second Postgres, where TIDEGATE_WITH_REPLICA is set
#   TIDEGATE_TLS_DIR                             ca.pem (signed the servers' certificate for "localhost"), other-ca.pem
# TIDEGATE_MYSQL_SERVER=mysql starts MySQL in MariaDB's place: Debian's unreleased suite has it, and debian_packages.sh,
# whose exit codes (75 to 77: it cannot be had) are this one's then, unpacks it into TIDEGATE_MYSQL_FOLDER, build/mysql if
# that is not set. TIDEGATE_MYSQL_GTID (ON, OFF) is its gtid_mode.
# TIDEGATE_POSTGRES_BIN is the folder of another Postgres's programs, TIDEGATE_MARIADB_FOLDER one into which another MariaDB
# was unpacked: tests/postgres/newer_server.sh and tests/mysql/newer_server.sh set them. TIDEGATE_MYSQL_SETTINGS are lines
# for the settings of MariaDB or MySQL.
# Runs as root (the servers run as the users postgres and mysql) or as any user.
set -euo pipefail
[ "${1:-}" != --help ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0; }
[ $# -gt 0 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

missing() { echo "with_servers.sh: $1 was not found; \`cmake/install_packages.sh test\` installs it" >&2; exit 1; }
postgres_bin=${TIDEGATE_POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
[ -x "${postgres_bin:-}/initdb" ] || missing "Postgres (Debian: postgresql)"
PATH=$PATH:/usr/sbin
export TIDEGATE_MYSQL_SERVER=${TIDEGATE_MYSQL_SERVER:-mariadb}
case $TIDEGATE_MYSQL_SERVER in
  mariadb) mysql_tools=$([ -n "${TIDEGATE_MARIADB_FOLDER:-}" ] || echo mariadbd mariadb-install-db) ;;
  mysql) mysql_tools="" ;;
  *) echo "with_servers.sh: TIDEGATE_MYSQL_SERVER is mariadb or mysql" >&2; exit 2 ;;
esac
for tool in $mysql_tools mariadb openssl; do
  command -v "$tool" >/dev/null || missing "$tool (Debian: mariadb-server, openssl)"
done
# Where it was unpacked; nothing for the installed one.
mysql_root=
mysql_program=(mariadbd)
if [ "$TIDEGATE_MYSQL_SERVER" = mysql ]; then
  mysql_folder=${TIDEGATE_MYSQL_FOLDER:-$here/../../build/mysql}
  [ -n "${TIDEGATE_MYSQL_FOLDER:-}" ] && [ -e "$mysql_folder/whole" ] ||
    "$here/debian_packages.sh" sid "$mysql_folder" mysql-server-core
  mysql_folder=$(readlink -f "$mysql_folder")
  mysql_root=$mysql_folder/root/usr
  mysql_program=("$mysql_folder/run" usr/sbin/mysqld)
elif [ -n "${TIDEGATE_MARIADB_FOLDER:-}" ]; then
  mysql_root=$(readlink -f "$TIDEGATE_MARIADB_FOLDER")/root/usr
  mysql_program=("$mysql_root/sbin/mariadbd")
fi

export TIDEGATE_SERVERS_DIR
TIDEGATE_SERVERS_DIR=$(mktemp -d /tmp/tidegate-servers.XXXXXX)
dir=$TIDEGATE_SERVERS_DIR
password=tidegate-secret
command_pid=
finish() {
  local code=$?
  trap '' INT TERM HUP
  [ -z "$command_pid" ] || kill -TERM "$command_pid" 2>/dev/null || :
  if [ -f "$dir/settings" ]; then
    for server in postgres replica mysql; do "$here/server_control.sh" $server kill9 2>/dev/null || :; done
  fi
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

postgres_user=$(id -un) mysql_user=$(id -un)
if [ "$(id -u)" = 0 ]; then postgres_user=postgres mysql_user=mysql; fi
# The unpacked one need not lie where another user may read it, and agrees to run as root.
[ -z "$mysql_root" ] || mysql_user=$(id -un)
as() {
  local user=$1
  shift
  if [ "$user" = "$(id -un)" ]; then "$@"; else setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"; fi
}

# Below the ephemeral range, so that no outgoing connection takes the port between now and the start.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}

# certificate <name> <issuer> <subject> <extensions>: an issuer of "" signs itself.
certificate() {
  local tls=$dir/tls sign=()
  [ -z "$2" ] || sign=(-CA "$tls/$2.pem" -CAkey "$tls/$2.key")
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$3" -addext "$4" \
    -keyout "$tls/$1.key" -out "$tls/$1.pem" "${sign[@]}" 2>/dev/null
}

make_certificates() {
  mkdir "$dir/tls"
  certificate ca "" "Tidegate test CA" "keyUsage=critical,keyCertSign"
  certificate other-ca "" "Another CA" "keyUsage=critical,keyCertSign"
  # -CA of `openssl req` is new in 3.0, which is what we need anyway.
  certificate server ca localhost "subjectAltName=DNS:localhost"
  for user in postgres mysql; do
    cp "$dir/tls/server.key" "$dir/tls/$user.key"
    chmod 600 "$dir/tls/$user.key"
  done
  [ "$(id -u)" != 0 ] || { chown postgres "$dir/tls/postgres.key"; chown "$mysql_user" "$dir/tls/mysql.key"; }
}

# make_postgres <name> <port>
make_postgres() {
  local data=$dir/$1 log=$dir/$1.log
  mkdir -m 700 "$data"
  touch "$log"
  [ "$(id -u)" != 0 ] || chown postgres "$data" "$log"
  echo "$password" >"$dir/password"
  chmod 644 "$dir/password"
  (cd / && as "$postgres_user" "$postgres_bin/initdb" -D "$data" --username=tidegate --pwfile="$dir/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync >"$log" 2>&1) || { cat "$log" >&2; exit 1; }
  cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = '$dir/run'
# Nothing here has to outlive the machine; killed servers still find what they wrote.
fsync = off
max_prepared_transactions = 10
wal_level = logical
max_connections = 60
shared_buffers = 128MB
ssl = on
ssl_cert_file = '$dir/tls/server.pem'
ssl_key_file = '$dir/tls/postgres.key'
CONF
}

make_mysql() {
  # Its own temporary folder: two servers that are made at once take the same names in a shared one.
  mkdir -m 700 "$dir/mysql" "$dir/mysql-tmp"
  [ "$(id -u)" != 0 ] || chown "$mysql_user" "$dir/mysql" "$dir/mysql-tmp"
  cat >"$dir/mysql.cnf" <<CONF
[$([ "$TIDEGATE_MYSQL_SERVER" = mysql ] && echo mysqld || echo mariadbd)]
datadir=$dir/mysql
tmpdir=$dir/mysql-tmp
socket=$dir/run/mysql.sock
port=$mysql_port
bind-address=127.0.0.1
pid-file=$dir/run/mysql.pid
log-error=$dir/mysql.log
# Nothing here has to outlive the machine; killed servers still find what they wrote.
innodb-flush-log-at-trx-commit=2
innodb-flush-method=nosync
innodb-buffer-pool-size=128M
# For change streams. Sources are tested without their metadata too: SET GLOBAL binlog_row_metadata = NO_LOG.
log-bin=tidegate-bin
server-id=1
binlog-format=ROW
binlog-row-metadata=FULL
sync-binlog=0
max-allowed-packet=64M
skip-name-resolve
ssl-ca=$dir/tls/ca.pem
ssl-cert=$dir/tls/server.pem
ssl-key=$dir/tls/mysql.key
$([ -z "$mysql_root" ] || settings_of_unpacked)
$([ "$TIDEGATE_MYSQL_SERVER" = mysql ] && settings_of_mysql || echo sync-frm=0)
${TIDEGATE_MYSQL_SETTINGS:-}
CONF
  chmod 644 "$dir/mysql.cnf"
  touch "$dir/mysql.log"
  [ "$(id -u)" != 0 ] || chown "$mysql_user" "$dir/mysql.log"
  cat >"$dir/init.sql" <<SQL
CREATE DATABASE tidegate CHARACTER SET utf8mb4;
CREATE USER tidegate@'%' IDENTIFIED BY '$password';
GRANT ALL ON *.* TO tidegate@'%' WITH GRANT OPTION;
CREATE USER tidegate@localhost IDENTIFIED BY '$password';
GRANT ALL ON *.* TO tidegate@localhost WITH GRANT OPTION;
SQL
  local install=(mariadb-install-db --no-defaults --datadir="$dir/mysql" --tmpdir="$dir/mysql-tmp" --skip-test-db
    --skip-name-resolve --auth-root-authentication-method=normal)
  [ -z "$mysql_root" ] || install=("$mysql_root/bin/mariadb-install-db" "${install[@]:1}" --basedir="$mysql_root" --user="$mysql_user")
  [ "$TIDEGATE_MYSQL_SERVER" != mysql ] || install=("${mysql_program[@]}" --defaults-file="$dir/mysql.cnf" --log-error=stderr
    --skip-log-bin --initialize-insecure)
  (cd / && as "$mysql_user" "${install[@]}" >"$dir/mysql-install.log" 2>&1) || { cat "$dir/mysql-install.log" >&2; exit 1; }
}
settings_of_unpacked() {
  local messages
  messages=$(find "$mysql_root/share" -name errmsg.sys -path '*english*' | head -n 1)
  cat <<CONF
user=$mysql_user
basedir=$mysql_root
plugin-dir=$mysql_root/lib/mysql/plugin
CONF
  [ -z "$messages" ] || echo "lc-messages-dir=$(dirname "$(dirname "$messages")")"
}
settings_of_mysql() {
  cat <<CONF
secure-file-priv=NULL
mysqlx=OFF
# A new server is made for each run; its pages need no second copy.
innodb-doublewrite=OFF
# Tests make rows by counting.
cte-max-recursion-depth=2000000
gtid-mode=${TIDEGATE_MYSQL_GTID:-ON}
enforce-gtid-consistency=ON
CONF
}

chmod 755 "$dir"
mkdir -m 777 "$dir/run"
postgres_port=$(free_port)
mysql_port=$(free_port)
replica_port=$(free_port)
{ declare -p postgres_bin postgres_port replica_port mysql_port mysql_user mysql_program password; } >"$dir/settings"
chmod 644 "$dir/settings"
make_certificates
make_postgres postgres "$postgres_port"
[ -z "${TIDEGATE_WITH_REPLICA:-}" ] || make_postgres replica "$replica_port"
make_mysql
# The servers outlive this script's terminal signals: only `finish` ends them.
"$here/server_control.sh" postgres start
"$here/server_control.sh" mysql start
mariadb --no-defaults --socket="$dir/run/mysql.sock" --user=root <"$dir/init.sql"
postgres_ports=$postgres_port
if [ -n "${TIDEGATE_WITH_REPLICA:-}" ]; then
  "$here/server_control.sh" replica start
  postgres_ports+=" $replica_port"
fi
for port in $postgres_ports; do
  PGPASSWORD=$password "$postgres_bin/psql" -qX -h "$dir/run" -p "$port" -U tidegate -d postgres -c 'CREATE DATABASE tidegate'
done

run=${dir//\//%2F}%2Frun
export TIDEGATE_POSTGRES_PORT=$postgres_port TIDEGATE_MYSQL_PORT=$mysql_port TIDEGATE_TLS_DIR=$dir/tls
export TIDEGATE_POSTGRES_URL="postgresql://tidegate:$password@$run:$postgres_port/tidegate"
export TIDEGATE_REPLICA_URL="postgresql://tidegate:$password@$run:$replica_port/tidegate" TIDEGATE_REPLICA_CTL="$here/server_control.sh replica"
export TIDEGATE_MYSQL_URL="mysql://tidegate:$password@localhost:$mysql_port/tidegate?socket=$run%2Fmysql.sock"
export TIDEGATE_POSTGRES_CTL="$here/server_control.sh postgres" TIDEGATE_MYSQL_CTL="$here/server_control.sh mysql"

"$@" <&0 &
command_pid=$!
code=0
wait "$command_pid" || code=$?
command_pid=
exit "$code"
