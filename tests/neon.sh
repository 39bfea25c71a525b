#!/usr/bin/env bash
# Cross-compiles base, kernels and the Rice coder for aarch64 and runs their unit tests under qemu-user: the NEON table must give the
# bits of the portable one. Installs Debian's cross compiler and qemu-user when they are missing and it may. Usage: tests/neon.sh [folder for what is built]
# Exit codes: 0 passed, 1 failed, 77 skipped (the tools are neither here nor installable).
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-}
[ -n "$out" ] || { out=$(mktemp -d) && trap 'rm -rf "$out"' EXIT; }
mkdir -p "$out"

have() { command -v aarch64-linux-gnu-gcc && { command -v qemu-aarch64 || command -v qemu-aarch64-static; }; }
if ! have >/dev/null; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  "${as_root[@]}" apt-get install -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user >"$out/install.log" 2>&1 || true
fi
have >/dev/null || { echo "skipped: install gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user"; exit 77; }
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)

flags=(-std=gnu17 -O3 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Werror -ffp-contract=off -fno-fast-math -D_GNU_SOURCE)
build() { # build PROGRAM FILE...
  local program=$1; shift
  aarch64-linux-gnu-gcc "${flags[@]}" -I"$top" -I"$top/tests/cross" -I"$top/tests/support" "$@" "$top"/base/{random,status}.c -static -lm -o "$out/$program"
}
for file in "$top"/codec/*.c; do aarch64-linux-gnu-gcc "${flags[@]}" -I"$top" -c "$file" -o "$out/codec.o"; done # compiles at all
build test_kernels "$top"/kernels/*.c "$top/tests/unit/kernels/test_kernels.c"
build test_rice "$top"/codec/rice.c "$top/tests/unit/codec/test_rice.c"
"$qemu" "$out/test_kernels" | tee "$out/test_kernels.txt"
"$qemu" "$out/test_rice"
grep -q '^neon: .* passed$' "$out/test_kernels.txt"
echo "passed: the NEON table gives the bits of the portable one"
