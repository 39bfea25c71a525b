#!/usr/bin/env bash
# Installs the Debian packages that building (and, with `test`, testing) needs. Does nothing, and needs no network, when
# they are all there. Usage: deploy/install-packages.sh [test]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
want_test=${1:-}

installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Prints every line of packages.txt of which no alternative is installed.
missing() {
  local section='' line name
  while read -r line; do
    case $line in
      '' | '#'*) continue ;;
      '['*) section=$line; continue ;;
    esac
    [ "$section" = '[test]' ] && [ "$want_test" != test ] && continue
    for name in ${line//|/ }; do installed "$name" && continue 2; done
    echo "$line"
  done <"$here/packages.txt"
}

lines=$(missing)
[ -n "$lines" ] || exit 0
command -v apt-get >/dev/null || {
  echo "install-packages.sh: this script knows apt only; install these by hand: $lines" >&2
  exit 1
}
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-packages.sh: run as root, or install sudo; needed: $lines" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing packages: $(echo "$lines" | tr '\n' ' ')"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
names=()
for line in $lines; do
  chosen=''
  for name in ${line//|/ }; do
    if apt-cache show "$name" >/dev/null 2>&1; then chosen=$name; break; fi
  done
  names+=("${chosen:-${line%%|*}}")
done
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${names[@]}" >/dev/null
