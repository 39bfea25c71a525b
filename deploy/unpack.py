#!/usr/bin/env python3
"""Writes files, or the parts of one file, to standard output one after the other: plain, gzip or xz. Usage: unpack.py FILE..."""
import gzip
import lzma
import shutil
import sys


def opened(path):
    with open(path, "rb") as file:
        magic = file.read(6)
    return (gzip.open if magic[:2] == b"\x1f\x8b" else lzma.open if magic == b"\xfd7zXZ\x00" else open)(path, "rb")


if __name__ == "__main__":
    try:
        for name in sys.argv[1:]:
            with opened(name) as part:
                shutil.copyfileobj(part, sys.stdout.buffer)
    except (OSError, EOFError, lzma.LZMAError) as error:
        sys.exit(f"unpack.py: {name}: {error}")
