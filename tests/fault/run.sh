#!/usr/bin/env bash
# Kills a real server and its clients (SIGKILL) at random moments of a real run over HTTPS, restarts them, ends the run, and
# checks with independent code that no update was lost or applied twice. With --restores old copies of the server's folder come
# back between the kills (rule R13): what such a copy has forgotten must be what the server counts. The last line is
# `kills=N lost=0 double=0`, with restores `kills=N restores=R counted=C lost=0 double=0`.
# Usage: tests/fault/run.sh [--kills N] [--restores R] [--seed S] [--clients C] [--dense-below N] [--pause SECONDS] [--binaries DIR] [--keep]
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
case " $* " in
  *' --help '* | *' --binaries '*) ;;
  *)
    "$top/deploy/install-packages.sh" test
    (cd "$top" && cmake --preset release >/dev/null && cmake --build build/release -j "$(nproc)" --target fl-server fl-client | tail -n 1)
    ;;
esac
exec /usr/bin/python3 "$top/tests/fault/fault.py" "$@"
