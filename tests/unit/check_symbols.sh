#!/usr/bin/env bash
# No two libraries may define the same public name: a program that links both would silently get one of them.
# Usage: check_symbols.sh LIBRARY...
set -euo pipefail
doubles=$(for library in "$@"; do nm -g --defined-only "$library" | awk '$2 ~ /[TDBR]/ && $3 ~ /^fl_/ {print $3}' | sort -u; done | sort | uniq -d)
[ -z "$doubles" ] || { echo "defined in more than one library: $doubles"; exit 1; }
echo "no name is defined twice in $# libraries"
