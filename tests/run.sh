#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test: release and ASan + UBSan builds, the kernels in the emulator with
# ThreadSanitizer, then the short forms of the fault test and of the hard conditions. See --help.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() {
  cat <<'END'
Usage: tests/run.sh [PRESET ...]

Installs what is needed (as root or by sudo), builds each preset and runs every test in it, then the short form of the
fault test and the main job. Presets: release asan debug tsan, and emu-asan emu-tsan, which build and run the tests with
the label emu only (and nothing after them if one of these two comes first); without any: release asan emu-tsan, the
last one without the tests with the label long.
Exit code 0 when every test passed, 2 for a preset that does not exist.
END
}
presets=("$@")
for preset in "${presets[@]}"; do
  case $preset in
    release | asan | debug | tsan | emu-asan | emu-tsan) ;;
    -h | --help) usage; exit 0 ;;
    *) echo "tests/run.sh: there is no preset $preset" >&2; usage >&2; exit 2 ;;
  esac
done
deploy/install-packages.sh test
short=() # what takes ThreadSanitizer minutes is left to tests/run.sh emu-tsan
[ ${#presets[@]} -gt 0 ] || { presets=(release asan emu-tsan); short=(-LE long); }
# Some kernels spread addresses wider than ThreadSanitizer of gcc 12 and 13 can bear.
fixed=()
setarch -R true 2>/dev/null && fixed=(setarch -R)
jobs=$(nproc)
for preset in "${presets[@]}"; do
  echo "== $preset: build"
  cmake --preset "$preset" -DFL_TESTS=ON >/dev/null
  cmake --build --preset "$preset" -j "$jobs" | tail -n 1
  echo "== $preset: test"
  left_out=()
  [ "$preset" != emu-tsan ] || left_out=("${short[@]}")
  "${fixed[@]}" ctest --preset "$preset" -j "$jobs" "${left_out[@]}"
done
if [[ ${presets[0]} == emu-* ]]; then
  exit 0 # no programs were built
fi
echo "== fault test, short form"
tests/fault/run.sh --kills 20 --seed 1 --binaries "build/${presets[0]}/bin"
tests/fault/run.sh --kills 12 --restores 2 --seed 2 --binaries "build/${presets[0]}/bin"
tests/fault/run.sh --kills 12 --seed 4 --dense-below 11 --binaries "build/${presets[0]}/bin"
echo "== hard conditions, short form"
tests/field/run.sh --short --binaries "build/${presets[0]}/bin"
echo "== main job"
tests/main_job.sh
