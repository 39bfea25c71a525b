"""Payloads of updates and deltas, written from codec/README.md alone: encoder, decoder, threshold codec.

A payload is decoded to Payload(kind, d, k, shift, lam, values); values maps an index to a level (kind 3, a whole number
of grid steps) or to a float32 (all other kinds). Wrong bytes raise ValueError.
"""
import math
import struct
from typing import NamedTuple

DENSE, THRESHOLD, INT_THRESHOLD, TOPK, TOPK_TENSOR, ASSIGNMENT, PARTS = 1, 2, 3, 4, 5, 6, 10
GROUP = 64
PLAIN = 31
LEVEL_MAX = 1 << 20
GAPS = (32, 30)  # bits of a plain number, largest Rice parameter
MAGNITUDES = (20, 19)


class Payload(NamedTuple):
    kind: int
    d: int
    k: int
    shift: int
    lam: float
    values: dict


def f32(x):
    """The float32 nearest to x."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def need(truth, what):
    if not truth:
        raise ValueError(f"payload: {what}")


def range_log2(d, count):
    for r in range(33):
        if count << r >= 512 * d:
            return r
    return 32


def level_min(shift):
    return 1 if shift == 0 else 1 << (shift - 1)


# Bits: a stream that fills bytes from bit 0 is one large little-endian number.


class BitWriter:
    def __init__(self):
        self.bits, self.length = 0, 0

    def number(self, value, n):
        self.bits |= value << self.length
        self.length += n

    def unary(self, value):
        self.number(1 << value, value + 1)

    def bytes(self):
        return self.bits.to_bytes((self.length + 7) // 8, "little")


class BitReader:
    def __init__(self, data):
        self.bits, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def number(self, n):
        need(n <= self.left, "bit stream ends early")
        value = self.bits & ((1 << n) - 1)
        self.bits >>= n
        self.left -= n
        return value

    def unary(self):
        need(self.bits, "bit stream ends inside a unary number")
        zeros = (self.bits & -self.bits).bit_length() - 1
        self.number(zeros + 1)
        return zeros

    def end(self):
        need(self.left < 8 and self.bits == 0, "bit stream is not padded by zero bits to a whole byte")


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class ByteReader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), "bytes end early")
        self.at += n
        return self.data[self.at - n : self.at]

    def varint(self):
        value = 0
        for i in range(5):
            byte = self.take(1)[0]
            value |= (byte & 127) << (7 * i)
            if byte < 128:
                need(byte or i == 0, "varint is not in its shortest form")
                return value
        raise ValueError("payload: varint of more than five bytes")


# Blocks of numbers.


def parameter_code(k, before):
    """The unary number that tells a later block's parameter."""
    return 2 * (k - before) if k >= before else 2 * (before - k) - 1


def block_bits(numbers, k, before, sort):
    head = 5 if before is None else parameter_code(k, before) + 1
    if k == PLAIN:
        return head + sort[0] * len(numbers)
    return head + sum((x >> k) + 1 + k for x in numbers)


def block_parameter(numbers, before, sort):
    guess = max(0, (sum(numbers) // len(numbers)).bit_length() - 1)
    tried = [PLAIN, *range(max(0, guess - 3), min(guess + 1, sort[1]) + 1)]
    return min(tried, key=lambda k: block_bits(numbers, k, before, sort))


def block_write(bits, numbers, before, sort):
    """Writes the block with the parameter that takes the fewest bits; returns the parameter."""
    k = block_parameter(numbers, before, sort)
    if before is None:
        bits.number(k, 5)
    else:
        bits.unary(parameter_code(k, before))
    if k == PLAIN:
        for x in numbers:
            bits.number(x, sort[0])
        return k
    for x in numbers:
        bits.number(x & ((1 << k) - 1), k)
    for x in numbers:
        bits.unary(x >> k)
    return k


def block_read(bits, count, before, sort):
    if before is None:
        k = bits.number(5)
    else:
        change = bits.unary()
        k = before + change // 2 if change % 2 == 0 else before - (change + 1) // 2
    need(k == PLAIN or 0 <= k <= sort[1], f"block parameter {k}")
    if k == PLAIN:
        return k, [bits.number(sort[0]) for _ in range(count)]
    low = [bits.number(k) for _ in range(count)]
    return k, [bits.unary() << k | x for x in low]


# Adaptive streams: a bit's odds are [zero, seen].


class AdaptiveReader:
    def __init__(self, data):
        self.bytes = iter(data)
        self.behind = 0  # zeros taken behind the last byte
        self.range, self.code = 2**32 - 1, 0
        for _ in range(4):
            self.shift()

    def shift(self):
        byte = next(self.bytes, None)
        self.behind += byte is None
        self.code = self.code % 2**24 * 256 + (byte or 0)

    def fill(self):
        while self.range < 2**24:
            self.range *= 256
            self.shift()

    def bit(self, odds):
        part = self.range // 2**12 * (odds[0] // 2**4)
        s = 2 + odds[1] // 2
        odds[1] += s < 6
        if self.code < part:
            self.range = part
            odds[0] += (65535 - odds[0]) // 2**s
            bit = 0
        else:
            self.range -= part
            self.code -= part
            odds[0] -= odds[0] // 2**s
            bit = 1
        self.fill()
        return bit

    def even(self):
        self.range //= 2
        bit = int(self.code >= self.range)
        self.code -= bit * self.range
        self.fill()
        return bit

    def number(self, odds):
        """odds: a dict of this sort of number, which grows with what is met."""

        def of(*key):
            return odds.setdefault(key, [2**15, 0])

        b = 0
        while b < 31 and self.bit(of("place", b)):
            b += 1
        y = 1
        for i in range(b):
            y = 2 * y + (self.bit(of("below", b, y)) if i < 2 else self.even())
        return y - 1

    def end(self):
        need(next(self.bytes, None) is None and self.behind in (3, 4), "adaptive stream of another length")


def adaptive_read(data, count, d, kind, least):
    """Indices and, for kind 3, levels."""
    stream, gap_odds, magnitude_odds = AdaptiveReader(data), {}, {}
    indices, levels, last = [], [], -1
    for _ in range(count):
        last += stream.number(gap_odds) + 1
        need(last < d, "index outside the vector")
        indices.append(last)
        if kind == INT_THRESHOLD:
            sign = stream.even()
            level = stream.number(magnitude_odds) + least
            need(level <= LEVEL_MAX, "level above 2^20")
            levels.append(-level if sign else level)
    stream.end()
    return indices, levels


# Bodies of ranges.


def stream_write(indices, levels, least, bitmap):
    bits, last, gap_k, level_k = BitWriter(), -1, None, None
    for g in range(0, len(indices), GROUP):
        if not bitmap:
            gaps = []
            for i in indices[g : g + GROUP]:
                gaps.append(i - last - 1)
                last = i
            gap_k = block_write(bits, gaps, gap_k, GAPS)
        if levels is not None:
            group = levels[g : g + GROUP]
            for level in group:
                bits.number(level < 0, 1)
            level_k = block_write(bits, [abs(level) - least for level in group], level_k, MAGNITUDES)
    return bits


def body_write(indices, values, size, kind, least):
    """Body of a range: (bitmap flag, coded part, float32 values). Indices count from the start of the range."""
    levels = values if kind == INT_THRESHOLD else None
    bitmap_bytes = (size + 7) // 8
    bitmap = len(indices) >= size // 8 and 8 * bitmap_bytes <= stream_write(indices, None, least, False).length
    coded = b""
    if bitmap:
        coded = sum(1 << i for i in indices).to_bytes(bitmap_bytes, "little")
    coded += stream_write(indices, levels, least, bitmap).bytes()
    floats = b"" if levels is not None else b"".join(struct.pack("<f", v) for v in values)
    return int(bitmap), coded, floats


def body_read(coded, count, size, kind, least, bitmap):
    """Indices (from the start of the range) and, for kind 3, levels of one range."""
    indices, levels = [], []
    if bitmap:
        length = (size + 7) // 8
        need(length <= len(coded), "bitmap ends early")
        mask = int.from_bytes(coded[:length], "little")
        need(mask >> size == 0, "bit past the end of a bitmap")
        indices = [i for i in range(size) if mask >> i & 1]
        need(len(indices) == count, "bitmap has another number of coordinates")
        coded = coded[length:]
    bits, last, gap_k, level_k = BitReader(coded), -1, None, None
    for g in range(0, count, GROUP):
        n = min(GROUP, count - g)
        if not bitmap:
            gap_k, gaps = block_read(bits, n, gap_k, GAPS)
            for gap in gaps:
                last += gap + 1
                indices.append(last)
        if kind == INT_THRESHOLD:
            signs = [bits.number(1) for _ in range(n)]
            level_k, magnitudes = block_read(bits, n, level_k, MAGNITUDES)
            need(all(m + least <= LEVEL_MAX for m in magnitudes), "level above 2^20")
            levels += [-(m + least) if s else m + least for s, m in zip(signs, magnitudes)]
    bits.end()
    need(not indices or indices[-1] < size, "index outside its range")
    return indices, levels


# Payloads.


def encode(kind, d, values, k=0, shift=0, lam=0.0):
    """The payload of values (index -> level or float32)."""
    order = sorted(values)
    count = len(order)
    head = varint(d)
    if kind != DENSE:
        head += varint(count)
    if kind == THRESHOLD:
        head += struct.pack("<f", lam)
    if kind == INT_THRESHOLD:
        head += struct.pack("<bB", k, shift)
    first = kind | 1 << 4
    if kind == DENSE:
        return bytes([first]) + head + b"".join(struct.pack("<f", values[i]) for i in order)
    if count == 0:
        return bytes([first]) + head
    size = 1 << range_log2(d, count)
    directory, bodies, flag = b"", b"", 0
    ranges = (d + size - 1) // size
    for r in range(ranges):
        start = r * size
        here = [i for i in order if start <= i < start + size]
        flag, coded = 0, b""
        if here:
            flag, coded, floats = body_write(
                [i - start for i in here], [values[i] for i in here], min(size, d - start), kind, level_min(shift)
            )
            bodies += coded + floats
        directory += varint(2 * len(here) + flag) + (varint(len(coded)) if here else b"")
    if ranges == 1:
        return bytes([first | flag << 7]) + head + bodies
    return bytes([first]) + head + directory + bodies


def header_read(data):
    first = data.take(1)[0]
    kind, version, flags = first & 15, first >> 4 & 3, first >> 6
    need(version == 1, f"format version {version}")
    need(DENSE <= kind <= ASSIGNMENT, f"kind {kind}")
    d = data.varint()
    need(1 <= d < 1 << 32, f"size {d}")
    count = d if kind == DENSE else data.varint()
    need(count <= d, "more coordinates than parameters")
    lam, k, shift = 0.0, 0, 0
    if kind == THRESHOLD:
        lam = struct.unpack("<f", data.take(4))[0]
        need(math.isfinite(lam) and lam > 0, "lambda")
    if kind == INT_THRESHOLD:
        k, shift = struct.unpack("<bB", data.take(2))
        need(-100 <= k <= 60 and shift <= 17, "grid step")
        lam = 2.0 ** (k - 1 + shift)
    return kind, d, count, lam, k, shift, flags


def values_read(data, n, kind, lam):
    """n float32 values."""
    values = struct.unpack(f"<{n}f", data.take(4 * n))
    need(all(map(math.isfinite, values)), "value that is not finite")
    need(kind != THRESHOLD or all(abs(v) >= lam for v in values), "value below lambda")
    need(kind not in (TOPK, TOPK_TENSOR) or all(values), "value zero")
    return values


def decode(payload):
    data = ByteReader(payload)
    kind, d, count, lam, k, shift, flags = header_read(data)
    bitmap = flags >> 1
    values = {}
    if kind == DENSE or count == 0:
        need(not flags, "flag of a bitmap or a stream without one")
        if kind == DENSE:
            values = dict(enumerate(struct.unpack(f"<{d}f", data.take(4 * d))))
            need(all(map(math.isfinite, values.values())), "value that is not finite")
        need(data.at == len(payload), "bytes after the end")
        return Payload(kind, d, k, shift, lam, values)
    if flags & 1:
        need(not bitmap, "bitmap flag with a stream")
        indices, levels = adaptive_read(data.take(data.varint()), count, d, kind, level_min(shift))
        if kind != INT_THRESHOLD:
            levels = values_read(data, count, kind, lam)
        need(data.at == len(payload), "bytes after the end")
        return Payload(kind, d, k, shift, lam, dict(zip(indices, levels)))
    size = 1 << range_log2(d, count)
    ranges = (d + size - 1) // size
    need(ranges == 1 or not bitmap, "bitmap flag in the header with several ranges")
    has_floats = kind != INT_THRESHOLD
    directory = []
    for _ in range(ranges if ranges >= 2 else 0):
        n = data.varint()
        need(n != 1, "bitmap of an empty range")
        directory.append((n >> 1, n & 1, data.varint() if n >> 1 else 0))
    if ranges == 1:
        length = len(payload) - data.at - (4 * count if has_floats else 0)
        need(length >= 0, "bytes end early")
        directory = [(count, bitmap, length)]
    need(sum(n for n, _, _ in directory) == count, "directory and count differ")
    for r, (n, flag, length) in enumerate(directory):
        if n == 0:
            continue
        start = r * size
        indices, levels = body_read(data.take(length), n, min(size, d - start), kind, level_min(shift), flag)
        if has_floats:
            levels = values_read(data, n, kind, lam)
        values.update(zip((start + i for i in indices), levels))
    need(data.at == len(payload), "bytes after the end")
    return Payload(kind, d, k, shift, lam, values)


def parts_encode(parts):
    """A payload in parts of payloads and their sizes d."""
    return bytes([PARTS | 1 << 4]) + varint(sum(d for _, d in parts)) + b"".join(varint(len(part)) + part for part, _ in parts)


# The integer threshold codec under error feedback.


def grid_shift(lam, k):
    """shift with lambda = 2^(k - 1 + shift)."""
    mantissa, exponent = math.frexp(lam)
    if mantissa != 0.5:
        raise ValueError(f"lambda {lam} is not a power of two")
    return exponent - 1 - (k - 1)


def int_threshold(p, lam, k):
    """Levels of the coordinates of p (floats with float32 values) that are sent: index -> level."""
    step = 2.0**k
    levels = {}
    for i, x in enumerate(p):
        if lam <= abs(x) < step * 2.0**44:
            level = min(math.floor(abs(x) / step + 0.5), LEVEL_MAX)  # half away from zero
            levels[i] = int(math.copysign(level, x))
    return levels
