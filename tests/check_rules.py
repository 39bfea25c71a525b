#!/usr/bin/env python3
"""Holds docs/rules.md to the tree: the files and functions it names exist, and every rule has a test that carries its name."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
PLACE = re.compile(r"`([\w./-]+)`: (`[^`]+`(?:, `[^`]+`)*)")


def faults(page):
    for section in re.split(r"^### ", page, flags=re.M)[1:]:
        rule = section.split()[0]
        for kind in ("code", "tests"):
            line = re.search(rf"^\* {kind}: (.*)$", section, re.M)
            if line is None:
                yield f"{rule}: no line of {kind}"
                continue
            for path, names in PLACE.findall(line.group(1)):
                text = (TOP / path).read_text() if (TOP / path).is_file() else ""
                for name in re.findall(r"`([^`]+)`", names):
                    if not re.search(rf"(?<![\w-]){re.escape(name)}(?!\w)", text):
                        yield f"{rule}: {path} has no {name}"
            parts = line.group(1).split("; ")
            if len(PLACE.findall(line.group(1))) != len(parts):
                yield f"{rule}: {kind}: not a list of `file`: `name`, ..."
            if kind == "tests" and not re.search(rf"`test_(?:R\d+_)*{rule}_", line.group(1)):
                yield f"{rule}: no test carries its name"


found = list(faults((TOP / "docs" / "rules.md").read_text()))
print("\n".join(found) or "docs/rules.md is right")
sys.exit(bool(found))
