#!/usr/bin/env python3
"""older_server.py DATABASE BLOBS SCHEMA: turns a server's files into those of an earlier one, with schema 1 or 2 and state
blobs FLSTATE1, so that tests can show that it is taken over."""
import hashlib
import pathlib
import sqlite3
import struct
import sys

FROM_3 = "ALTER TABLE receipts DROP COLUMN payload_sum; PRAGMA user_version=2;"
FROM_2 = """
DROP TABLE losses; DROP TABLE stamp;
ALTER TABLE runs DROP COLUMN origin; ALTER TABLE runs DROP COLUMN restores;
ALTER TABLE receipts DROP COLUMN judged_epoch; ALTER TABLE receipts DROP COLUMN total;
PRAGMA user_version=1;
"""


def state_before(data):
    elems = struct.unpack_from("<Q", data, 8)[0]
    edges = [128, 128 + 8 * elems, 128 + 12 * elems, 128 + 16 * elems]
    arrays = [data[begin:end] for begin, end in zip(edges, edges[1:])]
    return b"FLSTATE1" + data[8:32] + b"".join(hashlib.sha256(array).digest() for array in arrays) + b"".join(arrays)


def main():
    database, blobs, schema = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    sqlite3.connect(database).executescript(FROM_3 + (FROM_2 if schema == 1 else ""))
    if schema == 1:
        (pathlib.Path(database).parent / "state.mark").unlink(missing_ok=True)
    for path in blobs.glob("*.state"):
        path.write_bytes(state_before(path.read_bytes()))


if __name__ == "__main__":
    main()
