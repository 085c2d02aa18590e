#!/usr/bin/env bash
# make_certificates.sh DIR: certificates for tests, by openssl, good for two days. In DIR then are, each with its .key:
# ca.pem, an authority; server.pem (127.0.0.1 and localhost) and client.pem, which it signed; other_ca.pem, another
# authority; stranger.pem, a client's that the other one signed.
set -euo pipefail
[ $# -eq 1 ] && [ -d "$1" ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
cd "$1"
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
authority() { openssl req -x509 "${curve[@]}" -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null; }
signed() { # NAME AUTHORITY [NAMES]
  openssl req "${curve[@]}" -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
  printf 'subjectAltName=%s\n' "${3:-DNS:$1}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 2 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}
authority ca
authority other_ca
signed server ca IP:127.0.0.1,DNS:localhost
signed client ca
signed stranger other_ca
