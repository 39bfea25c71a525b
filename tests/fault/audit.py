#!/usr/bin/env python3
"""Checks a finished run's books, exactly, from the files of both sides (rules R2, R5, R6, R25).

It reads the server's database, the exported last model and each client's state folder (with keep_history), decodes the
payloads with the independent decoder of tests/golden, and does all sums in integers (of the model in parts: in float64, as it
is documented). Nothing of the programs is used. For runs with int-threshold, in parts or not.

    lost    updates that a client knows as accepted and the server has neither applied nor, restored from a backup, counted
            as lost (rule R13), and coordinates that do not add up
    double  updates that the server applied and the client did not commit, or applied twice
"""
import argparse
import collections
import json
import pathlib
import re
import sqlite3
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
sys.path.insert(0, str(HERE))

import exact  # noqa: E402
import payload as payloads  # noqa: E402


class Books:
    def __init__(self):
        self.lost, self.double, self.findings = 0, 0, []

    def find(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        self.findings.append(f"{kind}: {text}")


def read_server(folder, run):
    database = sqlite3.connect(f"file:{folder / 'state.db'}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    row = database.execute("SELECT * FROM runs WHERE name=?", (run,)).fetchone()
    if row is None:
        sys.exit(f"audit: the server has no run {run}")
    spec = dict(line.split("=", 1) for line in row["spec"].splitlines() if line)
    receipts = [dict(r) for r in database.execute("SELECT * FROM receipts WHERE run=? AND epoch=?", (run, row["origin"]))]
    for receipt in receipts:
        if receipt["payload"] is None and receipt["payload_blob"]:
            receipt["payload"] = (folder / "blobs" / receipt["payload_blob"]).read_bytes()
    names = {r["id"]: r["name"] for r in database.execute("SELECT id, name FROM clients")}
    losses = collections.defaultdict(list)
    for loss in database.execute("SELECT client, first_seq, last_seq, updates FROM losses WHERE run=? AND epoch=?", (run, row["origin"])):
        losses[names[loss["client"]]].append(loss)
    return row, spec, receipts, names, losses


def read_vector(path):
    data = path.read_bytes()
    if data[:4] != b"FLV1" or len(data) != 16 + 4 * struct.unpack_from("<Q", data, 8)[0]:
        raise ValueError(f"{path}: not a vector")
    return exact.units(data[16:])


def read_client(folder):
    """Consumed updates by seq, and the residual that is left."""
    manifest = (folder / "manifest").read_text()
    residual = re.search(r"^residual (\S+) ", manifest, re.M)
    updates = {}
    for path in (folder / "history").glob("*.verdict"):
        fields = dict(line.split(" ", 1) for line in path.read_text().splitlines())
        updates[int(fields["seq"])] = fields
    return updates, read_vector(folder / residual.group(1)) if residual else None, re.search(r"^outbox ", manifest, re.M) is not None


class Run:
    """What the run has agreed on."""

    def __init__(self, row, spec):
        self.lam = payloads.Fraction(row["lambda"])
        self.step = self.lam * payloads.Fraction(2) ** int(spec["step_shift"])
        self.layers = [int(spec["model.inputs"])] + [int(spec[f"model.hidden.{i}"]) for i in range(int(spec["model.hidden_count"]))]
        self.layers.append(int(spec["model.outputs"]))
        self.shapes = [shape for a, b in zip(self.layers, self.layers[1:]) for shape in ((b, a), (b, 1))]
        self.elems = sum(a * b for a, b in self.shapes)
        self.seed, self.rate = int(spec["model.seed"]), float.fromhex(spec["server_rate"])
        self.codec, self.dense_below = spec["codec.name"], int(spec["dense_below"])

    def sent(self, receipt):
        """(index, number of steps) of a payload; in parts (index, value)."""
        try:
            return payloads.decode_agreed(receipt["payload"], self.codec, self.elems, self.lam, self.step, shapes=self.shapes,
                                          dense_below=self.dense_below).items
        except payloads.Refused as error:
            raise ValueError(f"receipt {receipt['client']}/{receipt['seq']}: {error}") from None


def check_losses(books, name, updates, applied, losses):
    """The updates that a restored server has forgotten: those that it counts, and no others."""
    forgotten = {seq for seq, fields in updates.items() if fields["verdict"] == "accepted" and seq not in applied}
    counted = set()
    for loss in losses:
        among = {seq for seq in forgotten if loss["first_seq"] <= seq <= loss["last_seq"]}
        if len(among) != loss["updates"]:
            books.find("lost", f"{name}: the server counts {loss['updates']} updates lost among {loss['first_seq']}..{loss['last_seq']}, "
                               f"the client's books have {len(among)}")
        counted |= among
    for seq in forgotten - counted:
        books.find("lost", f"{name}: update {seq} was accepted and never applied")
    return counted


def check_client(books, name, folder, receipts, losses, agreed):
    """One client's updates against the server's receipts, then the law, coordinate by coordinate."""
    updates, residual, outbox = read_client(folder)
    applied = {r["seq"]: r for r in receipts if r["verdict"] == "accepted" and r["applied_round"] is not None}
    if outbox:
        books.find("lost", f"{name}: an update still waits in the outbox after the run's end")
    counted = check_losses(books, name, updates, applied, losses)
    for seq, fields in updates.items():
        if seq in applied and applied[seq]["digest"].hex() != fields["digest"]:
            books.find("lost", f"{name}: update {seq} was applied with other bytes")
    for seq in applied:
        if seq not in updates or updates[seq]["outcome"] not in ("committed", "nothing"):
            books.find("double", f"{name}: update {seq} was applied, and the client keeps it too")

    trained = sorted(seq for seq, fields in updates.items() if fields["outcome"] != "nothing")
    if not trained:
        return len(applied), len(counted)
    elems = len(read_vector(folder / "history" / f"{trained[0]}.p"))
    zero = [0] * elems
    balance, before = [0] * elems, zero  # contributed - accepted - dropped, in units; the residual so far
    for seq in trained:
        p, e_old, e_new = (read_vector(folder / "history" / f"{seq}.{part}") for part in ("p", "e_old", "e_new"))
        if e_old != before:
            books.find("lost", f"{name}: the residual changed between updates, before {seq}")
        dropped = updates[seq]["outcome"] == "dropped"
        for i in range(elems):
            balance[i] += p[i] - e_old[i] - (p[i] - e_old[i] if dropped else 0)
            if seq in counted:  # it was sent and accepted, in a life of the server that is gone
                balance[i] -= p[i] - e_new[i]
        before = e_new
    unit = 1 if agreed.dense_below else agreed.step
    for receipt in applied.values():
        if receipt["kind"] == "train":
            for index, number in agreed.sent(receipt):
                balance[index] -= exact.value_units(float(number * unit))
    residual = residual or zero
    if residual != before:
        books.find("lost", f"{name}: the residual differs from the one after the last update")
    wrong = sum(1 for i in range(elems) if balance[i] != residual[i])
    if wrong:
        books.find("lost", f"{name}: {wrong} of {elems} coordinates do not add up")
    return len(applied), len(counted)


def check_model(books, receipts, agreed, model):
    """Applies every receipt once, in the order that server/core/publish.h documents, and compares bit by bit."""
    x = exact.first_model(agreed.layers, agreed.seed)
    unit, number_type = (1.0, float) if agreed.dense_below else (float(agreed.step), int)
    rounds = collections.defaultdict(list)
    for receipt in receipts:
        if receipt["verdict"] == "accepted" and receipt["kind"] == "train":
            if receipt["applied_round"] is None:
                books.find("lost", f"receipt {receipt['client']}/{receipt['seq']} entered no round")
            else:
                rounds[receipt["applied_round"]].append(receipt)
    for number in sorted(rounds):
        total, weight = collections.defaultdict(number_type), 0
        for receipt in sorted(rounds[number], key=lambda r: (r["client"], r["round"])):
            weight += receipt["weight"]
            for index, sent in agreed.sent(receipt):
                total[index] += number_type(receipt["weight"]) * number_type(sent)
        for index, value in total.items():
            x[index] = x[index] - agreed.rate * ((float(value) * unit) / float(weight))
    header = int.from_bytes(model[:8], "little")
    published = model[8 + header:]
    if struct.pack(f"<{len(x)}f", *x) != published:
        wrong = sum(1 for i, value in enumerate(x) if struct.pack("<f", value) != published[4 * i:4 * i + 4])
        books.find("lost", f"the last model differs from the sum of the receipts in {wrong} of {len(x)} coordinates")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=pathlib.Path, required=True, help="the server's folder")
    parser.add_argument("--run", required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="the last version, exported as .safetensors")
    parser.add_argument("clients", type=pathlib.Path, nargs="+", help="state folders, each named as its client")
    options = parser.parse_args()
    row, spec, receipts, names, losses = read_server(options.server, options.run)
    books = Books()
    agreed = Run(row, spec)
    seen = collections.Counter((r["client"], r["round"]) for r in receipts if r["verdict"] == "accepted")
    for (client, number), count in seen.items():
        if count > 1:
            books.find("double", f"{names[client]}: {count} updates accepted for round {number}")
    check_model(books, receipts, agreed, options.model.read_bytes())
    by_name = collections.defaultdict(list)
    for receipt in receipts:
        by_name[names[receipt["client"]]].append(receipt)
    applied = counted = 0
    for folder in options.clients:
        client = check_client(books, folder.name, folder / "runs" / options.run, by_name[folder.name], losses[folder.name], agreed)
        applied, counted = applied + client[0], counted + client[1]
    unknown = set(by_name) - {folder.name for folder in options.clients}
    if unknown:
        sys.exit(f"audit: no state folder was given for {', '.join(sorted(unknown))}")
    for finding in books.findings:
        print(finding, file=sys.stderr)
    verdicts = collections.Counter(r["verdict"] for r in receipts)
    print(json.dumps({"lost": books.lost, "double": books.double, "applied": applied, "counted_lost": counted, "versions": row["version"], **verdicts}))
    sys.exit(1 if books.lost or books.double else 0)


if __name__ == "__main__":
    main()
