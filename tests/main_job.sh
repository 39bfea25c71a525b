#!/usr/bin/env bash
# Runs the main job as a user does, deploy/quickstart.sh, and holds its summary against the bars that it must meet:
# accuracy, distance to the central baseline, bytes against dense. Usage: tests/main_job.sh [quickstart options]
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$top/deploy/quickstart.sh" --json "$out" "$@"
python3 - "$out" <<'TXT'
import json, os, sys
s = json.load(open(sys.argv[1]))
bars = {
    "test accuracy at least 0.94": s["test_accuracy"] >= 0.94,
    "within 0.03 of the central baseline": s["test_accuracy"] >= s["central_accuracy"] - 0.03,
    "uplink at least 50 times under dense": s["uplink_dense_bytes"] >= 50 * s["uplink_bytes"],
    "downlink at least 10 times under dense": s["downlink_dense_bytes"] >= 10 * s["downlink_bytes"],
    "60 rounds": s["rounds"] == 60,
    "at most 5 minutes": s["seconds"] <= 300,
    "the model is there": os.path.getsize(s["model_path"]) > 4 * s["parameters"],
}
for bar, met in bars.items():
    print("met   " if met else "MISSED", bar)
sys.exit(not all(bars.values()))
TXT
