#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test: release and ASan + UBSan builds, then the short form of the
# fault test. Usage: tests/run.sh [PRESET ...]   (default: release asan; also: debug, tsan)
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/install-packages.sh test
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(release asan)
jobs=$(nproc)
for preset in "${presets[@]}"; do
  echo "== $preset: build"
  cmake --preset "$preset" -DFL_TESTS=ON >/dev/null
  cmake --build "build/$preset" -j "$jobs" | tail -n 1
  echo "== $preset: test"
  ctest --preset "$preset" -j "$jobs"
done
echo "== fault test, short form"
tests/fault/run.sh --kills 20 --seed 1 --binaries "build/${presets[0]}/bin"
tests/fault/run.sh --kills 10 --seed 2 --binaries "build/${presets[0]}/bin"
echo "== main job"
tests/main_job.sh
