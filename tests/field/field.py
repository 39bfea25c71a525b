#!/usr/bin/env python3
"""Runs the hard conditions with real processes; a line for each: tried, expected, seen."""
import argparse
import json
import pathlib
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from condition import CONDITIONS, Skipped  # noqa: E402
from lab import TOP  # noqa: E402
from field_site import Site  # noqa: E402

import disk, files, mistakes, network, process  # noqa: E402, E401, F401


def run(entry, options):
    """One condition; its outcome and what was seen."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fl-field."))
    folder.chmod(0o755)  # conditions with another user pass through it
    site = Site(folder, options.binaries.resolve())
    site.seed, site.short = options.seed, options.short
    done = False
    try:
        try:
            seen = entry.function(site)
            site.check_processes()
            outcome, done = "passed", True
        except Skipped as exception:
            outcome, seen, done = "skipped", str(exception), True
        except Exception as exception:  # noqa: BLE001: one condition's failure must not hide the others
            outcome, seen = "failed", str(exception) or traceback.format_exc()
            if not isinstance(exception, (AssertionError, RuntimeError, TimeoutError)) and type(exception).__name__ != "Failed":
                seen = traceback.format_exc()
    finally:
        site.stop_all()
        if done or not options.keep:
            site.close()
        else:
            print(f"files of {entry.name}: {folder}", file=sys.stderr)
    return outcome, seen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help="only this condition, or this file's (disk, files, ...); may be repeated")
    parser.add_argument("--short", action="store_true", help="the short form, under a minute on a quiet machine")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn: the places of flipped bits, the damages of the short form")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the lines as JSON too")
    parser.add_argument("--list", action="store_true", help="only list the conditions")
    parser.add_argument("--binaries", type=pathlib.Path, default=TOP / "build" / "release" / "bin")
    parser.add_argument("--keep", action="store_true", help="keep the files of what fails")
    options = parser.parse_args()
    chosen = [c for c in CONDITIONS if (not options.only or c.name in options.only or c.noun in options.only) and
              (c.short or not options.short)]
    if not chosen:
        parser.error("no such condition; --list names them")
    results, counts = [], {"passed": 0, "failed": 0, "skipped": 0}
    for entry in chosen:
        if options.list:
            print(f"{entry.noun}/{entry.name}: tried: {entry.tried}; expected: {entry.expected}")
            continue
        start = time.monotonic()
        outcome, seen = run(entry, options)
        counts[outcome] += 1
        results.append({"name": f"{entry.noun}/{entry.name}", "outcome": outcome, "tried": entry.tried, "expected": entry.expected,
                        "seen": seen, "seconds": round(time.monotonic() - start, 1)})
        print(f"{outcome:7} {entry.noun}/{entry.name}: tried: {entry.tried}; expected: {entry.expected}; seen: {seen}", flush=True)
    if options.list:
        return
    if options.json:
        options.json.write_text(json.dumps({**counts, "conditions": results}, indent=1) + "\n")
    print(", ".join(f"{number} {word}" for word, number in counts.items()))
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
