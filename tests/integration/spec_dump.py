"""Messages as annotated hexadecimal lines, and back: for the worked example of the specification."""
import re

import msgpack

import spec_payload
from spec_payload import GAPS, INT_THRESHOLD, MAGNITUDES

WIDTH = 16  # bytes a line
LONG = 512  # bytes of a bin that are shown in full
VERSION = {"": "version", 0: "epoch", 1: "number", 2: "digest"}
CODEC = {"lambda": "threshold", "step": "log2 of the grid step"}
WORDS = {
    "enroll": {"name": "for people", "csr": "PKCS#10, DER"},
    "enrolled": {"client": "client id", "chain": "PEM: client, then issuing authority"},
    "run": {
        "round": "open now",
        "rounds": "in all",
        "version": {**VERSION, "": "newest"},
        "model": {"seed": "of x_0"},
        "codec": CODEC,
    },
    "work": {
        "r": "round",
        "b": {**VERSION, "": "base, a version"},
        "q": "sequence number expected",
        "t": "milliseconds to the deadline",
        "p": {"": "plan", "s": "local steps", "b": "examples of a mini-batch", "l": "learning rate", "m": "momentum", "z": "seed"},
        "c": CODEC,
    },
    "update": {
        "r": "round",
        "b": {**VERSION, "": "base, a version"},
        "w": "weight: training examples",
        "s": "local steps taken",
        "l": "mean training loss",
        "n": "norm of the residual that stays",
        "m": {"": "metrics of the base", 0: "examples", 1: "correct", 2: "loss, summed"},
        "p": "payload",
    },
    "verdict": {
        "k": "accepted",
        "e": "epoch",
        "q": "sequence number judged",
        "h": "SHA-256 of the update's body",
        "r": "round",
        "n": "sequence number next",
        "t": "receipt",
        "a": "updates accepted so far",
    },
    "delta": {
        "f": "delta",
        "b": {**VERSION, "": "version held afterwards"},
        "o": "may be applied to versions from here",
        "d": "parameters",
        "x": "assignment payload",
    },
}


def chunks(data):
    return [data[i : i + WIDTH] for i in range(0, len(data), WIDTH)]


class TracedBits(spec_payload.BitReader):
    """Remembers the bits that were read, as text in the order of the stream."""

    def __init__(self, data):
        super().__init__(data)
        self.trace = []

    def number(self, n):
        value = super().number(n)
        if n:
            self.trace.append("".join(str(value >> i & 1) for i in range(n)))
        return value

    def taken(self):
        text, self.trace = " ".join(self.trace), []
        return text


class Lines:
    def __init__(self):
        self.lines = []

    def add(self, data, text="", depth=0):
        parts = chunks(data) or [b""]
        self.lines.append(f"{parts[0].hex(' '):{3 * WIDTH + 1}}{'    ' * depth}{text}".rstrip())
        self.lines += [part.hex(" ") for part in parts[1:]]

    def skip(self, count):
        self.lines.append(f"..{'':{3 * WIDTH - 1}}{count} more bytes")


def dump_payload(lines, payload, depth):
    """The payload of one range of one group, field by field."""
    decoded, data = spec_payload.decode(payload), spec_payload.ByteReader(payload)
    count = len(decoded.values)
    if spec_payload.range_log2(decoded.d, count) < (decoded.d - 1).bit_length() or count > spec_payload.GROUP:
        raise ValueError("a payload too large for an example")
    bitmap = payload[0] >> 7
    lines.add(data.take(1), f"kind {decoded.kind}, version 1{', with a bitmap' if bitmap else ''}", depth)
    lines.add(data.take(len(spec_payload.varint(decoded.d))), f"d = {decoded.d}", depth)
    lines.add(data.take(len(spec_payload.varint(count))), f"count = {count}", depth)
    if decoded.kind == INT_THRESHOLD:
        lines.add(data.take(1), f"k = {decoded.k}: step {2.0**decoded.k:g}", depth)
        lines.add(data.take(1), f"shift = {decoded.shift}: lambda {decoded.lam:g}", depth)
    floats = 0 if decoded.kind == INT_THRESHOLD else 4 * count
    coded = payload[data.at : len(payload) - floats]
    if bitmap:
        length = (decoded.d + 7) // 8
        lines.add(coded[:length], f"bitmap: elements {', '.join(map(str, sorted(decoded.values)))}", depth)
        coded = coded[length:]
    if coded:
        lines.add(coded, "bit stream, least significant bit of each byte first:", depth)
    bits = TracedBits(coded)
    if not bitmap:
        k, gaps = spec_payload.block_read(bits, count, None, GAPS)
        lines.add(b"", f"{bits.taken()}  gaps, parameter {k}: {', '.join(map(str, gaps))}", depth + 1)
    if decoded.kind == INT_THRESHOLD:
        for _ in range(count):
            bits.number(1)
        lines.add(b"", f"{bits.taken()}  signs", depth + 1)
        k, magnitudes = spec_payload.block_read(bits, count, None, MAGNITUDES)
        lines.add(b"", f"{bits.taken()}  |level| - 1, parameter {k}: {', '.join(map(str, magnitudes))}", depth + 1)
    if bits.left:
        lines.add(b"", f"{'0' * bits.left}  up to a whole byte", depth + 1)
    for at, (index, value) in enumerate(sorted(decoded.values.items()) if floats else ()):
        start = len(payload) - floats + 4 * at
        lines.add(payload[start : start + 4], f"x[{index}] = {value:.9g}", depth)
    return decoded


class Dump:
    def __init__(self, body):
        self.body, self.lines = body, Lines()
        self.reader = msgpack.Unpacker()
        self.reader.feed(body)

    def scalar(self, value):
        if isinstance(value, bytes):
            return f"bin of {len(value)}"
        return f'"{value}"' if isinstance(value, str) else f"{value:.9g}" if isinstance(value, float) else str(value)

    def value(self, before, name, words, depth):
        """One value behind the bytes before (its key), named name."""
        at = self.reader.tell()
        first = self.body[at]
        word = words.get("", "") if isinstance(words, dict) else words
        tail = f", {word}" if word else ""
        label = f"{name}: " if name else ""
        if first >> 4 in (8, 9):
            is_map = first >> 4 == 8
            count = self.reader.read_map_header() if is_map else self.reader.read_array_header()
            self.lines.add(before + self.body[at : at + 1], f"{label}{'map' if is_map else 'array'} of {count}{tail}", depth)
            for i in range(count):
                start, key = self.reader.tell(), self.reader.unpack() if is_map else i
                key_bytes = self.body[start : self.reader.tell()]
                inner = words.get(key, "") if isinstance(words, dict) else ""
                self.value(key_bytes, f'"{key}"' if is_map else "", inner, depth + 1)
            return
        value = self.reader.unpack()
        end = self.reader.tell()
        if not isinstance(value, bytes):
            self.lines.add(before + self.body[at:end], f"{label}{self.scalar(value)}{tail}", depth)
            return
        self.lines.add(before + self.body[at : end - len(value)], f"{label}{self.scalar(value)}{tail}", depth)
        if word.endswith("payload"):
            dump_payload(self.lines, value, depth + 1)
        else:
            self.lines.add(value if len(value) <= LONG else value[: 2 * WIDTH])
            if len(value) > LONG:
                self.lines.skip(len(value) - 2 * WIDTH)


def dump(kind, body):
    """Annotated lines of a message of a kind of WORDS."""
    made = Dump(body)
    made.value(b"", "", WORDS[kind], 0)
    return made.lines.lines


def undump(lines):
    """The bytes in annotated lines; those left out come as zeros."""
    body = b""
    for line in lines:
        skipped = re.match(r"\.\. +(\d+) more bytes$", line)
        columns = line[: 3 * WIDTH - 1]
        body += bytes(int(skipped.group(1))) if skipped else bytes.fromhex(columns)
    return body
