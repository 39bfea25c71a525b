#!/usr/bin/env python3
"""Holds kernels that promise the host's bits to it: in their PTX no multiply-add is fused, nothing is approximated or flushed to 0, every sum and product of floats names its rounding (so that nothing is fused later), and no float is added atomically.

Usage: check_ptx.py [--planted FILE.ptx] FILE.ptx ...    planted: one that must be refused
Exit codes: 0 passed, 1 failed, 77 skipped (no file: there was no nvcc)."""
import argparse
import pathlib
import re
import sys

FLOAT = r"\.(?:f16|f16x2|bf16|bf16x2|f32|f64)\b"
FAULTS = [
    (re.compile(rf"(?<![\w.])(?:fma|mad)\b[\w.]*{FLOAT}"), "a fused multiply-add"),
    (re.compile(r"(?<![\w.])\w[\w.]*\.approx\b[\w.]*"), "an approximation"),
    (re.compile(r"(?<![\w.])\w[\w.]*\.ftz\b[\w.]*"), "subnormals become 0"),
    (re.compile(rf"(?<![\w.])(?:add|sub|mul)(?:\.ftz)?(?:\.sat)?{FLOAT}"), "no rounding named, so it may be fused"),
    (re.compile(rf"(?<![\w.])(?:atom|red)\.[\w.]*add[\w.]*{FLOAT}"), "a sum whose order is open"),
]
ENTRY = re.compile(r"\.entry\s+(\w+)")


def faults(text):
    kernel = "?"
    for line in text.splitlines():
        line = line.split("//")[0]
        entry = ENTRY.search(line)
        kernel = entry.group(1) if entry else kernel
        for pattern, why in FAULTS:
            if found := pattern.search(line):
                yield f"{kernel}: {found.group(0)}: {why}"


parser = argparse.ArgumentParser()
parser.add_argument("--planted", type=pathlib.Path)
parser.add_argument("files", nargs="*", type=pathlib.Path)
arguments = parser.parse_args()
if not arguments.files:
    print("skipped: no kernels were compiled for cards, as there is no nvcc or FL_CUDA is OFF")
    sys.exit(77)
failed = False
for path in arguments.files:
    text = path.read_text()
    found = list(faults(text))
    kernels = len(ENTRY.findall(text))
    failed |= bool(found) or not kernels
    print("\n".join(f"{path.name}: {fault}" for fault in found) or f"{path.name}: {kernels} kernels are exact" if kernels else f"{path.name}: no kernel in it")
if arguments.planted:
    found = list(faults(arguments.planted.read_text()))
    missing = [why for _, why in FAULTS if not any(fault.endswith(why) for fault in found)]
    failed |= bool(missing)
    print("\n".join(f"{arguments.planted.name}: not found: {why}" for why in missing) or f"{arguments.planted.name}: all that was planted was found")
sys.exit(failed)
