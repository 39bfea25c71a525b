#!/usr/bin/env bash
# What only a card can show: that the plugin finds it, that its kernels give the host's bits on large vectors, how fast
# they are, and that a whole run on it learns what a run on the CPU learns. See --help.
set -euo pipefail
usage() {
  cat <<'TXT'
Usage: tests/gpu/run.sh [--binaries DIR] [--device cuda:N] [--elems N] [--whole]

  --binaries DIR   folder of fl-client, fl-bench and fl_cuda.so (default build/release/bin)
  --device cuda:N  which card (default cuda:0)
  --elems N        elements of the vectors (default 100000000: 2.0 GB of the card's memory)
  --whole          also run the quickstart on the card and on the CPU, and compare

Exit codes: 0 passed, 1 failed, 2 wrong option, 77 skipped: no device.
TXT
}
top=$(cd "$(dirname "$0")/../.." && pwd)
binaries=$top/build/release/bin device=cuda:0 elems=100000000 whole=no
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --whole) whole=yes; shift ;;
    --binaries | --device | --elems)
      [ $# -ge 2 ] || { echo "tests/gpu/run.sh: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2 ;;
    *) echo "tests/gpu/run.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

code=0
"$binaries/fl-bench" kernels --device "$device" --elems "$elems" >"$out/kernels" 2>"$out/errors" || code=$?
if [ "$code" -ne 0 ]; then
  if grep -q '^fl-bench kernels: skipped: no device' "$out/errors"; then
    sed 's/^fl-bench kernels: //' "$out/errors"
    exit 77
  fi
  cat "$out/errors" >&2
  exit 1
fi
cat "$out/kernels"
[ "$whole" = yes ] || exit 0

for where in cpu "$device"; do
  echo "quickstart on $where"
  "$top/deploy/quickstart.sh" --rounds 20 --central no --device "$where" --json "$out/$where.json" >"$out/quickstart.log" ||
    { tail -n 20 "$out/quickstart.log" >&2; exit 1; }
done
python3 - "$out/cpu.json" "$out/$device.json" <<'TXT'
import json, sys
cpu, card = (json.load(open(path))["test_accuracy"] for path in sys.argv[1:])
print(f"test accuracy {cpu:.4f} on the CPU, {card:.4f} on the card")
sys.exit(abs(cpu - card) > 0.01)
TXT
