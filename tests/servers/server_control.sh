#!/usr/bin/env bash
# server_control.sh postgres|replica|mysql start|stop|kill9|freeze|thaw: the private servers of with_servers.sh, whose folder
# stands in TIDEGATE_SERVERS_DIR. Tests break servers with it; each action returns when it has taken effect.
# server_control.sh replica follow|promote|remove: makes it a standby of the other Postgres, ends that, takes it away.
set -euo pipefail
dir=${TIDEGATE_SERVERS_DIR:?run this under tests/servers/with_servers.sh}
server=$1
action=$2
# shellcheck source=/dev/null
. "$dir/settings"

# Servers refuse to run as root.
as_owner() {
  if [ "$server_user" = "$(id -un)" ]; then
    "$@"
  else
    setpriv --reuid="$server_user" --regid="$server_user" --init-groups -- "$@"
  fi
}

# until_true <seconds> <what> <command...>
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "$server: $what took too long; its log:" >&2; tail -n 20 "$log" >&2; return 1; }
    sleep 0.05
  done
}

ended() {
  local pid
  for pid in "$@"; do
    # A killed child of a test that has not been waited for is as good as ended.
    [ ! -d "/proc/$pid" ] || grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null || return 1
  done
}

frozen() {
  local pid
  for pid in "$@"; do
    [ ! -d "/proc/$pid" ] || grep -q '^State:.[TZ]' "/proc/$pid/status" 2>/dev/null || return 1
  done
}

case $server in
  postgres | replica)
    server_user=postgres log=$dir/$server.log pidfile=$dir/$server/postmaster.pid
    port=$postgres_port
    [ "$server" = postgres ] || port=$replica_port
    start() { (cd / && as_owner "$postgres_bin/pg_ctl" -s -w -t 60 -D "$dir/$server" -l "$log" start >/dev/null) || { tail -n 20 "$log" >&2; return 1; }; }
    answers() { "$postgres_bin/pg_isready" -q -h "$dir/run" -p "$port"; }
    ;;
  mysql)
    server_user=$mysql_user log=$dir/mysql.log pidfile=$dir/run/mysql.pid
    start() {
      # The shell in between is redirected too: it must not hold the caller's output open for as long as the server runs.
      (cd / && as_owner setsid "${mysql_program[@]}" --defaults-file="$dir/mysql.cnf") </dev/null >>"$log" 2>&1 &
      until_true 60 start answers
    }
    answers() { mariadb-admin --no-defaults --socket="$dir/run/mysql.sock" --user=tidegate --password="$password" ping; }
    ;;
  *) echo "unknown server $server" >&2; exit 2 ;;
esac

pids() {
  local pid
  pid=$(head -n 1 "$pidfile" 2>/dev/null) || return 0
  echo "$pid" "$(pgrep -P "$pid" | tr '\n' ' ')"
}

# Meant to be split into words.
# shellcheck disable=SC2046,SC2206
case $action in
  start) start; [ "$server" = mysql ] || until_true 60 start answers ;;
  kill9)
    all=($(pids))
    kill -KILL "${all[@]}" 2>/dev/null || [ ${#all[@]} -gt 0 ]
    until_true 30 kill ended "${all[@]}"
    # Where nobody reaps the dead, their pids would seem to hold these locks.
    rm -f "$pidfile"
    rm -f "$dir/run/mysql.sock.lock"
    [ "$server" = mysql ] || rm -f "$dir/run/.s.PGSQL.$port" "$dir/run/.s.PGSQL.$port.lock"
    ;;
  stop)
    all=($(pids))
    [ ${#all[@]} -gt 0 ] || exit 0
    if [ "$server" != mysql ]; then kill -INT "${all[0]}"; else kill -TERM "${all[0]}"; fi 2>/dev/null || exit 0
    until_true 60 stop ended "${all[@]}"
    ;;
  freeze)
    all=($(pids))
    kill -STOP "${all[@]}"
    until_true 30 freeze frozen "${all[@]}"
    ;;
  thaw) kill -CONT $(pids) ;;
  follow)
    [ "$server" = replica ] || { echo "only the replica can follow" >&2; exit 2; }
    touch "$log"
    [ "$(id -u)" != 0 ] || chown "$server_user" "$log"
    # Into the folder of all servers, where only we may make folders.
    mkdir -m 700 "$dir/$server"
    [ "$(id -u)" != 0 ] || chown "$server_user" "$dir/$server"
    export PGPASSWORD=$password
    (cd / && as_owner "$postgres_bin/pg_basebackup" -h "$dir/run" -p "$postgres_port" -U tidegate -D "$dir/$server" -R \
      -X stream -c fast --no-sync)
    echo "port = $port" >>"$dir/$server/postgresql.conf"
    start
    until_true 60 start answers
    ;;
  promote) (cd / && as_owner "$postgres_bin/pg_ctl" -s -w -t 60 -D "$dir/$server" promote) ;;
  remove)
    "$0" "$server" kill9 2>/dev/null || :
    rm -rf "${dir:?}/$server"
    ;;
  *) echo "unknown action $action" >&2; exit 2 ;;
esac
