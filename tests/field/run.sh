#!/usr/bin/env bash
# Hard conditions with real processes: disks, damaged files, networks, processes, operators' mistakes. A line for each (tried,
# expected, seen); the last line is `N passed, N failed, N skipped`. Takes some five minutes, the short form under one.
# Needs root for small file systems of its own; what it may not do is skipped.
# Usage: tests/field/run.sh [--only NAME] [--short] [--seed S] [--json FILE] [--list] [--binaries DIR] [--keep]
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
case " $* " in
  *' --help '* | *' --list '* | *' --binaries '*) ;;
  *)
    "$top/deploy/install-packages.sh" test
    (cd "$top" && cmake --preset release >/dev/null && cmake --build build/release -j "$(nproc)" --target fl-server fl-client | tail -n 1)
    ;;
esac
apart=()
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
  apart=(unshare --mount) # what is mounted here is seen by nobody else, and is gone in the end
fi
exec "${apart[@]}" /usr/bin/python3 "$top/tests/field/field.py" "$@"
