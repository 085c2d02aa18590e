#!/usr/bin/env bash
# ubuntu_packages.sh SUITE FOLDER PACKAGE...: debian_packages.sh for packages of Ubuntu, whose releases carry servers that
# Debian never had, or has no longer: MySQL 8.0 (noble) and 8.4 (resolute), PostgreSQL 14 (jammy) and 16 (noble).
#
# Ubuntu's keyring is a package of Debian's trixie, and is unpacked from there, below build/. The archive is
# archive.ubuntu.com, or TIDEGATE_UBUNTU_ARCHIVE. Folders and exit codes are those of debian_packages.sh.
set -euo pipefail
case ${1:---help} in --help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
keys=$here/../../build/ubuntu-keyring
"$here/debian_packages.sh" trixie "$keys" ubuntu-keyring
export TIDEGATE_DEBIAN_ARCHIVE=${TIDEGATE_UBUNTU_ARCHIVE:-http://archive.ubuntu.com/ubuntu}
TIDEGATE_DEBIAN_KEYRING=$(readlink -f "$keys/root/usr/share/keyrings/ubuntu-archive-keyring.gpg")
export TIDEGATE_DEBIAN_KEYRING
exec "$here/debian_packages.sh" "$@"
