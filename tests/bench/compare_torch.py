#!/usr/bin/env python3
"""Compares Residue's selection and messages with PyTorch's, on the same vectors, one thread each, in one run.

  torch.topk + scatter      p = g + e; topk of |p|; the values at the indices; zeros scattered into p
  torch hard threshold      p = g + e; |p| >= lambda; nonzero; the values at the indices; p masked
  int64 indices             messages as GRACE sends them: float32 values and int64 indices

Usage: tests/bench/compare_torch.py [--elems N] [--repetitions N] [--bench PROGRAM] [--json]
Times are processor time, the least of the repetitions, each with a fresh vector. Exit codes: 0 measured, 1 fl-bench failed,
77 skipped (PyTorch is not installed).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

RATIO = 0.01  # what fl-bench kernels --input measures


def arguments():
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--elems", type=int, default=10_000_000, help="elements of a vector (10,000,000)")
    parser.add_argument("--repetitions", type=int, default=5, help="vectors (5)")
    parser.add_argument("--bench", default=os.path.join(top, "build/release/bin/fl-bench"), help="the program fl-bench")
    parser.add_argument("--json", action="store_true", help="print an array of objects, one a row")
    return parser.parse_args()


def vector(numpy, seed, elems):
    """A heavy-tailed vector: the product of two normal numbers."""
    draw = numpy.random.default_rng(seed)
    x = draw.standard_normal(elems, dtype=numpy.float32)
    x *= draw.standard_normal(elems, dtype=numpy.float32)
    return x


def timed(function):
    start = time.thread_time()
    result = function()
    return time.thread_time() - start, result


def measure_torch(torch, numpy, args, path):
    """Least milliseconds of top-k and of the threshold, and the bytes of a message."""
    residual = torch.zeros(args.elems)
    count = max(1, int(RATIO * args.elems))
    least = {"topk": float("inf"), "threshold": float("inf"), "message": float("inf")}
    limit = None
    size = 0

    def topk(gradient):
        p = gradient + residual
        _, indices = torch.topk(p.abs(), count, sorted=False)
        values = p[indices]
        p.scatter_(0, indices, 0.0)
        return values, indices

    def threshold(gradient):
        p = gradient + residual
        mask = p.abs() >= limit
        indices = mask.nonzero().flatten()
        values = p[indices]
        p.masked_fill_(mask, 0.0)
        return values, indices

    with open(path, "wb") as file:
        for repetition in range(args.repetitions):
            x = vector(numpy, repetition, args.elems)
            x.tofile(file)
            gradient = torch.from_numpy(x)
            took, (values, indices) = timed(lambda: topk(gradient))
            least["topk"] = min(least["topk"], took)
            limit = limit or float(values.abs().min())
            took, _ = timed(lambda: threshold(gradient))
            least["threshold"] = min(least["threshold"], took)
            took, message = timed(lambda: values.numpy().tobytes() + indices.numpy().tobytes())
            least["message"] = min(least["message"], took)
            size = len(message)
    return {name: 1e3 * seconds for name, seconds in least.items()}, size / count


def measure_ours(args, path, subject):
    command = [args.bench, subject, "--input", path, "--elems", str(args.elems), "--repetitions", str(args.repetitions), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def row(name, theirs, ours, unit, target=None):
    ratio = theirs / ours
    return {"name": name, "params": f"ratio={RATIO}", "value": ours, "unit": unit, "bound": theirs, "ratio": ratio,
            "target": target, "met": None if target is None else ratio >= target}


def main():
    args = arguments()
    try:
        import numpy
        import torch
    except ImportError as missing:
        print(f"skipped: {missing}: install python3-torch (Debian) or pip install torch")
        return 77
    torch.set_num_threads(1)
    with tempfile.NamedTemporaryFile(suffix=".f32") as file:
        theirs, theirs_bytes = measure_torch(torch, numpy, args, file.name)
        try:
            ours = {one["name"]: one["value"] for one in measure_ours(args, file.name, "kernels")}
            bits = next(one["value"] for one in measure_ours(args, file.name, "codec") if one["params"].endswith("=1e-02"))
        except (OSError, subprocess.CalledProcessError) as failed:
            print(f"compare_torch.py: {args.bench}: {failed}", file=sys.stderr)
            return 1
    rows = [
        row("torch.topk + scatter against top-k by a sampled threshold", theirs["topk"], ours["top-k, sampled threshold"], "ms", 30),
        row("torch.topk + scatter against exact top-k", theirs["topk"], ours["top-k, exact by a sampled bound"], "ms", 15),
        row("torch hard threshold against the fused one", theirs["threshold"], ours["hard threshold"], "ms"),
        row("values and int64 indices against a payload of top-k", theirs_bytes, 4 + bits / 8, "bytes each"),
    ]
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"torch {torch.__version__}, one thread, {args.elems} elements, {RATIO:.0%} of them sent")
    print(f"{'what':58} {'theirs':>10} {'ours':>10} {'unit':11} {'times':>7} {'target':>7}")
    for one in rows:
        target = "" if one["target"] is None else f">{one['target']:6} {'met' if one['met'] else 'MISSED'}"
        print(f"{one['name']:58} {one['bound']:10.3f} {one['value']:10.3f} {one['unit']:11} {one['ratio']:7.1f} {target}")
    print(f"(torch also takes {theirs['message']:.3f} ms to put a message together)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
