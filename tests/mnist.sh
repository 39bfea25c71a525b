#!/usr/bin/env bash
# Holds federated MNIST against its bars: deploy/quickstart.sh --data mnist by writers and by Dirichlet(0.1), each with the
# default codec and with --codec dense. Says "skipped" where the data is not there. Not part of tests/run.sh: some minutes.
set -euo pipefail

usage() {
  cat <<'TXT'
Usage: tests/mnist.sh [--seed S] [--json FILE]

  --seed S     seed of all four runs (default 1)
  --json FILE  write the four summaries as one JSON object
  --help

The images are looked for in $FL_DATA/mnist (FL_DATA: ../shared/data beside this project unless set).

Exit codes: 0 all bars met, 1 a bar missed or a run failed, 2 wrong option, 77 skipped: no data.
TXT
}

top=$(cd "$(dirname "$0")/.." && pwd)
seed=1 json=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --seed | --json)
      [ $# -ge 2 ] || { echo "mnist.sh: $1 needs a value (see --help)" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2 ;;
    *) echo "mnist.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
done
data=${FL_DATA:-$top/../shared/data}/mnist
compgen -G "$data/train-images-idx3-ubyte*" >/dev/null || { echo "skipped: no train-images-idx3-ubyte in $data"; exit 77; }

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for partition in writers dirichlet; do
  for codec in int-threshold dense; do
    echo "== $partition, $codec"
    "$top/deploy/quickstart.sh" --data mnist --partition $partition --codec $codec --seed "$seed" --json "$out/$partition-$codec.json" |
      grep -E '^(test accuracy|uplink|downlink|time)'
  done
done
python3 - "$out" "$json" <<'TXT'
import json, pathlib, sys
runs = {path.stem: json.loads(path.read_text()) for path in pathlib.Path(sys.argv[1]).glob("*.json")}
if sys.argv[2]:
    pathlib.Path(sys.argv[2]).write_text(json.dumps(runs, indent=1) + "\n")
missed = 0
def bar(text, value, met):
    global missed
    missed += not met
    print("met   " if met else "MISSED", f"{text}: {value:.4g}")
for partition, least in (("writers", 0.965), ("dirichlet", 0.95)):
    sparse, dense = runs[f"{partition}-int-threshold"], runs[f"{partition}-dense"]
    up, down = (sparse[f"{way}_dense_bytes"] / sparse[f"{way}_bytes"] for way in ("uplink", "downlink"))
    bar(f"{partition}: test accuracy at least {least}", sparse["test_accuracy"], sparse["test_accuracy"] >= least)
    gap = dense["test_accuracy"] - sparse["test_accuracy"]
    bar(f"{partition}: at most 0.01 under the dense run", gap, gap <= 0.01)
    bar(f"{partition}: uplink at least 100 times under dense", up, up >= 100)
    bar(f"{partition}: downlink at least 12 times under dense", down, down >= 12)
    bar(f"{partition}: 60 rounds, 20 clients", sparse["rounds"], (sparse["rounds"], sparse["clients"]) == (60, 20))
sys.exit(missed > 0)
TXT
