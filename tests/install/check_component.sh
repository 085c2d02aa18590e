#!/usr/bin/env bash
# Installs core and one component, with the components it needs, into a fresh prefix, builds tests/install/consumer
# against them, and checks that the program links nothing of another component.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

build='' component='' cxx=c++ flags=''
while (($#)); do
  case $1 in
    --build) build=$2 ;;
    --component) component=$2 ;;
    --cxx) cxx=$2 ;;
    --flags) flags=$2 ;;
    *) echo "check_component.sh: unknown option '$1'; give --build DIR --component NAME" >&2; exit 2 ;;
  esac
  shift 2
done
[[ -n $build && -n $component ]] || { echo "check_component.sh: give --build DIR --component NAME" >&2; exit 2; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
parts=(core "$component")
[[ $component == durable_streams || $component == electric || $component == kinesis || $component == server ]] && parts=(core http "$component")
for part in "${parts[@]}"; do
  cmake --install "$build" --prefix "$scratch/prefix" --component "$part" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
done

# Looking for another component's library is an error, not only linking it.
declare -A finds=([core]='' [contract]=GTest [sqlite]='SQLite3 SQLiteCpp' [postgres]=PostgreSQL [mysql]=ZLIB
  [http]='CURL ZLIB' [durable_streams]='CURL ZLIB simdjson' [electric]='CURL ZLIB'
  [kinesis]='CURL ZLIB simdjson'
  [server]='CURL ZLIB' [nats]='')
forbidden=()
for package in SQLite3 SQLiteCpp PostgreSQL GTest nlohmann_json Boost CURL ZLIB simdjson; do
  [[ " ${finds[$component]} " == *" $package "* ]] || forbidden+=("-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON")
done
if [[ $component == mysql ]]; then  # pkg-config finds libmariadb and libdeflate there, and nothing else
  mkdir "$scratch/only"
  for package in libmariadb libdeflate; do
    cp "$(pkg-config --variable=pcfiledir "$package")/$package.pc" "$scratch/only"
  done
  export PKG_CONFIG_LIBDIR=$scratch/only
elif [[ $component == nats ]]; then  # likewise libnats
  mkdir "$scratch/only"
  cp "$(pkg-config --variable=pcfiledir libnats)/libnats.pc" "$scratch/only"
  export PKG_CONFIG_LIBDIR=$scratch/only
elif [[ $component != postgres ]]; then
  export PKG_CONFIG_LIBDIR=$scratch/nothing  # where pkg-config would find libpqxx
fi

cmake -S "$here/consumer" -B "$scratch/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  -DCOMPONENT="$component" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_FLAGS="$flags" "${forbidden[@]}" >"$scratch/log" 2>&1 ||
  { cat "$scratch/log"; exit 1; }
cmake --build "$scratch/consumer" || exit 1
"$scratch/consumer/consumer"

declare -A own=([sqlite]=libsqlite3 [postgres]='libpqxx libpq.' [mysql]=libmysqlcppconn [nats]=libnats
  [http]=libcurl [durable_streams]=libcurl [electric]=libcurl [kinesis]=libcurl [server]=libcurl)
ldd "$scratch/consumer/consumer" >"$scratch/linked"
failed=0
for other in "${!own[@]}"; do
  for library in ${own[$other]}; do
    if [[ $other == "$component" ]]; then
      grep -q "$library" "$scratch/linked" || { echo "component $component does not link $library"; failed=1; }
    elif [[ " ${own[$component]:-} " != *" $library "* ]] && grep "$library" "$scratch/linked"; then
      echo "component $component links $library of component $other"
      failed=1
    fi
  done
done
((failed == 0)) && echo "component $component: found, built, ran, links only its own"
exit $failed
