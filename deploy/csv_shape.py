#!/usr/bin/env python3
"""Prints features and classes of a CSV file (plain, .gz or .xz; label in the last column). Usage: csv_shape.py FILE"""
import csv
import gzip
import lzma
import sys


def main(path):
    magic = open(path, "rb").read(6)
    opener = gzip.open if magic[:2] == b"\x1f\x8b" else lzma.open if magic == b"\xfd7zXZ\x00" else open
    with opener(path, "rt", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    try:
        float(rows[0][-1])
    except ValueError:
        rows = rows[1:]  # names of columns
    labels = {int(float(row[-1])) for row in rows}
    if min(labels) < 0:
        raise ValueError("labels in the last column must be 0, 1, 2...")
    print(len(rows[0]) - 1, max(max(labels) + 1, 2))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, EOFError, ValueError, IndexError, UnicodeDecodeError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
