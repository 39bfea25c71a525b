"""Independent decoder of Residue's codec payloads, written from codec/README.md. Python 3, standard library only.

    decode(payload) -> Payload(codec, d, lam, step, items)

items is a list of (index, level) for the grid codec and (index, float) for all others; codec is its name, or
for kind 7 the pair of its forms, for kind 11 the shape of its table; lam and step are exact Fractions, or None where the codec has none. Anything that breaks the format raises Refused.
What was agreed outside the payload (ratio, tensors) is checked by decode_agreed().
"""
import math
import struct
from collections import namedtuple
from fractions import Fraction

from check_supports import Stream, random_k

DENSE, THRESHOLD, INT_THRESHOLD, TOPK, TOPK_TENSOR, ASSIGN, CODED, SUPPORT, FACTORED, PARTS, SKETCHED = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
NAMES = {DENSE: "dense", THRESHOLD: "threshold", INT_THRESHOLD: "int-threshold", TOPK: "topk",
         TOPK_TENSOR: "topk-tensor", ASSIGN: "assign", CODED: "coded"}
ALL, LISTED = 0, 1  # supports of kind 7
FLOAT32, BFLOAT16, FLOAT16, LEVELS, NATURAL, BLOCK_INT = 0, 1, 2, 3, 4, 5  # values of kind 7
# Codecs that send about the largest magnitudes, at most the agreed share.
ESTIMATED = ("topk-sampled", "sidco-exponential", "sidco-pareto", "sidco-gamma", "threshold-sampled")
# Which forms of kind 7 a codec has, or the name of another whose payloads it makes.
FORMS = {"topk-bf16": (LISTED, BFLOAT16), "topk-fp16": (LISTED, FLOAT16), "qsparse": (LISTED, LEVELS), "natural": (ALL, NATURAL), **{name: (LISTED, FLOAT32) for name in ESTIMATED}, "block-int": (ALL, BLOCK_INT),
         **{name: (ALL, LEVELS) for name in ("sign", "one-bit", "tree-8", "tree-8-fixed", "qsgd", "qsgd-max", "nuqsgd", "terngrad",
                                             "alq", "alq-n", "amq", "amq-n", "adaqs", "dqsgd")},
         "round-random": "int-threshold"}
LEVEL_MAX = 1 << 20
GROUP = 64
PLAIN = 31
INT_MAX = (1 << 31) - 1
PRIME = (1 << 61) - 1
BLOCKS = {"sketch": 1, "sketch-block": 16}  # neighbours hashed together

Payload = namedtuple("Payload", "codec d lam step items")


class Refused(ValueError):
    """The bytes are no payload of this format."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        need(size <= self.left(), "truncated")
        self.at += size
        return self.data[self.at - size:self.at]

    def varint(self):
        value = 0
        for i in range(5):
            byte = self.take(1)[0]
            value |= (byte & 127) << (7 * i)
            if byte < 128:
                need(byte or i == 0, "varint is not the shortest")
                return value
        raise Refused("varint is too long")


class Bits:
    def __init__(self, data):
        self.data, self.at, self.end = data, 0, 8 * len(data)

    def bit(self):
        need(self.at < self.end, "bit stream is truncated")
        bit = self.data[self.at // 8] >> (self.at % 8) & 1
        self.at += 1
        return bit

    def number(self, width):
        return sum(self.bit() << i for i in range(width))

    def unary(self):
        zeros = 0
        while not self.bit():
            zeros += 1
        return zeros

    def finish(self):
        need(self.end - self.at < 8, "bytes left after the bit stream")
        while self.at < self.end:
            need(self.bit() == 0, "padding is not zero")


class Odds:
    """Those of one bit of an adaptive stream."""

    def __init__(self):
        self.zero, self.seen = 1 << 15, 0

    def note(self, bit):
        shift = 2 + self.seen // 2
        self.seen += shift < 6
        self.zero += -(self.zero >> shift) if bit else (65535 - self.zero) >> shift


class Adaptive:
    """An adaptive stream."""

    def __init__(self, data):
        self.data, self.at, self.code, self.range = data, 0, 0, (1 << 32) - 1
        for _ in range(4):
            self.byte()

    def byte(self):
        self.code = (self.code << 8 | (self.data[self.at] if self.at < len(self.data) else 0)) & 0xffffffff
        self.at += 1

    def bit(self, odds=None):
        part = (self.range >> 12) * (odds.zero >> 4) if odds else self.range >> 1
        bit = int(self.code >= part)
        if bit:
            self.code -= part
        self.range = self.range - part if bit and odds else part
        if odds:
            odds.note(bit)
        while self.range < 1 << 24:
            self.range <<= 8
            self.byte()
        return bit

    def number(self, places, belows):
        place, number = 0, 1
        while place < 31 and self.bit(places[place]):
            place += 1
        for i in range(place):
            number = number << 1 | self.bit(belows[place, number] if i < 2 else None)
        return number - 1

    def finish(self):
        need(len(self.data) + 3 <= self.at <= len(self.data) + 4, "adaptive stream of another length")


def adaptive_items(kind, level_min, d, count, rest):
    stream = Adaptive(rest.take(rest.varint()))
    values = floats(rest.take(4 * count)) if kind not in (INT_THRESHOLD, SUPPORT) else [None] * count
    gaps, magnitudes = [([Odds() for _ in range(31)], {(place, node): Odds() for place in range(32) for node in (1, 2, 3)})
                        for _ in range(2)]
    items, index = [], -1
    for value in values:
        index += stream.number(*gaps) + 1
        need(index < d, "index beyond the vector")
        if kind == INT_THRESHOLD:
            sign = stream.bit()
            value = stream.number(*magnitudes) + level_min
            need(value <= LEVEL_MAX, "level above the cap")
            value = -value if sign else value
        items.append((index, value))
    stream.finish()
    need(rest.left() == 0, "bytes left over")
    return items


class Blocks:
    """The blocks of gaps, or of magnitudes, of one range."""

    def __init__(self, plain_width):
        self.plain_width, self.parameter = plain_width, None

    def read(self, bits, count):
        if self.parameter is None:
            self.parameter = bits.number(5)
        else:
            folded = bits.unary()
            self.parameter += -(folded + 1) // 2 if folded % 2 else folded // 2
        k = self.parameter
        need(0 <= k <= min(30, self.plain_width - 1) or k == PLAIN, "parameter out of range")
        if k == PLAIN:
            return [bits.number(self.plain_width) for _ in range(count)]
        remainders = [bits.number(k) for _ in range(count)]
        return [(bits.unary() << k) + remainder for remainder in remainders]


def floats(data):
    values = [value for (value,) in struct.iter_unpack("<f", data)]
    need(all(math.isfinite(value) for value in values), "value is not finite")
    return values


def bitmap_indices(data, elems, count):
    need(not any(data[i // 8] >> (i % 8) & 1 for i in range(elems, 8 * len(data))), "bitmap is too long")
    indices = [i for i in range(elems) if data[i // 8] >> (i % 8) & 1]
    need(len(indices) == count, "bitmap does not hold count ones")
    return indices


def decode_range(kind, level_min, start, elems, count, bitmap, coded, values):
    """One range: list of (index, value or level)."""
    items, next_index = [], 0
    set_bits = []
    if bitmap:
        size = (elems + 7) // 8
        need(size <= len(coded), "bitmap is truncated")
        set_bits, coded = bitmap_indices(coded[:size], elems, count), coded[size:]
    bits, gaps, magnitudes = Bits(coded), Blocks(32), Blocks(20)
    for first in range(0, count, GROUP):
        size = min(GROUP, count - first)
        if bitmap:
            indices = set_bits[first:first + size]
        else:
            indices = []
            for gap in gaps.read(bits, size):
                indices.append(next_index + gap)
                next_index += gap + 1
            need(next_index <= elems, "index beyond the range")
        if kind == INT_THRESHOLD:
            signs = [bits.bit() for _ in range(size)]
            levels = [number + level_min for number in magnitudes.read(bits, size)]
            need(max(levels) <= LEVEL_MAX, "level above the cap")
            group = [-level if sign else level for sign, level in zip(signs, levels)]
        else:
            group = values[first:first + size] if values is not None else [None] * size
        items += zip((start + index for index in indices), group)
    bits.finish()
    return items


def decode_ranges(kind, level_min, d, count, bitmap, rest):
    r = 0
    while r < 32 and count << r < 512 * d:
        r += 1
    ranges = -(-d // (1 << r))
    has_floats = kind not in (INT_THRESHOLD, SUPPORT)
    if ranges == 1:
        size = rest.left() - (4 * count if has_floats else 0)
        need(size >= 0, "truncated")
        rows = [(count, bitmap, size)]
    else:
        need(not bitmap, "bitmap flag without a single range")
        rows = []
        for _ in range(ranges):
            row = rest.varint()
            n, mode = row >> 1, row & 1
            need(n or not mode, "bitmap of an empty range")
            rows.append((n, mode, rest.varint() if n else 0))
    need(sum(n for n, _, _ in rows) == count, "ranges do not add up to count")
    items = []
    for i, (n, mode, size) in enumerate(rows):
        start = i << r
        elems = min(1 << r, d - start)
        need(n <= elems, "more coordinates than elements")
        if n:
            coded = rest.take(size)
            values = floats(rest.take(4 * n)) if has_floats else None
            items += decode_range(kind, level_min, start, elems, n, mode, coded, values)
    need(rest.left() == 0, "bytes left over")
    return items


def single(value):
    """A float64 rounded to float32."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def huffman_lengths(data, size):
    halves = [byte >> shift & 15 for byte in data for shift in (0, 4)]
    need(not any(halves[size:]), "a half byte after the lengths")
    need(sum(Fraction(1, 2 ** length) for length in halves[:size] if length) == 1, "the lengths are no code")
    return halves[:size]


def huffman_codes(bits, lengths, count):
    rows, code = {}, 0
    for length in range(1, 16):
        code <<= 1
        for symbol in (s for s, n in enumerate(lengths) if n == length):
            rows[length, code] = symbol
            code += 1
    out = []
    for _ in range(count):
        length = code = 0
        while (length, code) not in rows:
            length, code = length + 1, code << 1 | bits.bit()
        out.append(rows[length, code])
    return out


def level_values(rest, count):
    bucket = rest.varint()
    need(1 <= bucket < 1 << 32, "bucket out of range")
    size = rest.take(1)[0] + 1
    need(size >= 2, "a table of one level")
    coding = rest.take(1)[0]
    need(coding <= 1, "unknown coding")
    table = floats(rest.take(4 * size))
    need(all(a < b for a, b in zip(table, table[1:])), "levels do not grow")
    scales = floats(rest.take(4 * -(-count // bucket)))
    need(all(math.copysign(1, scale) > 0 for scale in scales), "a scale is negative")
    lengths = huffman_lengths(rest.take((size + 1) // 2), size) if coding else None
    bits = Bits(rest.take(rest.left()))
    width = max(1, (size - 1).bit_length())
    codes = huffman_codes(bits, lengths, count) if coding else [bits.number(width) for _ in range(count)]
    bits.finish()
    need(all(code < size for code in codes), "a code without a level")
    return [single(scales[i // bucket] * table[code]) for i, code in enumerate(codes)]


def block_value(q, exponent, n):
    """A float32, from the float64 that is nearest to q n / (2^31 - 1 - n)."""
    try:
        return single(math.ldexp(float(Fraction(q * n, INT_MAX - n)), exponent - 126))
    except OverflowError:
        raise Refused("value is not finite") from None


def block_values(rest, count):
    size, n = rest.varint(), rest.varint()
    need(1 <= size < 1 << 32, "block out of range")
    need(1 <= n < INT_MAX, "contributors out of range")
    exponents = rest.take(-(-count // size))
    need(all(exponent < 255 for exponent in exponents), "an exponent of infinity")
    integers = [q for (q,) in struct.iter_unpack("<i", rest.take(4 * count))]
    need(all(abs(q) * n <= INT_MAX for q in integers), "an integer whose sum could overflow")
    return [block_value(q, exponents[i // size], n) for i, q in enumerate(integers)]


def coded_values(rest, form, count):
    if count == 0:
        values = []
    elif form == LEVELS:
        values = level_values(rest, count)
    elif form == FLOAT32:
        values = floats(rest.take(4 * count))
    elif form == BLOCK_INT:
        values = block_values(rest, count)
    elif form == NATURAL:
        bits = Bits(rest.take(-(-9 * count // 8)))
        values = floats(b"".join(struct.pack("<I", bits.number(9) << 23) for _ in range(count)))
        bits.finish()
    elif form == BFLOAT16:
        values = floats(b"".join(b"\0\0" + rest.take(2) for _ in range(count)))
    else:
        values = [value for (value,) in struct.iter_unpack("<e", rest.take(2 * count))]
    need(all(math.isfinite(value) for value in values), "value is not finite")
    need(rest.left() == 0, "bytes left over")
    return values


def decode_coded(d, rest):
    """Kind 7: its forms, with contributors where there are some, and items (index, float)."""
    forms = rest.take(1)[0]
    support, values = forms & 15, forms >> 4
    need(support in (ALL, LISTED) and values in (FLOAT32, BFLOAT16, FLOAT16, LEVELS, NATURAL, BLOCK_INT), "unknown forms")
    indices = range(d)
    if support == LISTED:
        inner = decode(rest.take(rest.varint()), inside=True)
        need(inner.d == d, "the support is of another size")
        indices = [index for index, _ in inner.items]
    forms = support, values
    if values == BLOCK_INT:
        ahead = Bytes(rest.data[rest.at:])
        forms += [ahead.varint(), ahead.varint()][1],
    return forms, list(zip(indices, coded_values(rest, values, len(indices))))


class Sketch:
    """The hash of a count sketch's rows, and estimates from its counters."""

    def __init__(self, rows, columns, block, seed):
        self.rows, self.columns, self.block, self.seed = rows, columns, block, seed
        streams = [Stream(seed, row) for row in range(rows)]
        self.coefficients = [[stream.below(PRIME) for _ in range(6)] for stream in streams]

    def places(self, i):
        """For each row the number of a counter and a sign."""
        number, lane = divmod(i, self.block)
        for row, (a1, a2, a3, a4, a5, a6) in enumerate(self.coefficients):
            column = ((a1 * number + a2) % PRIME * (self.columns // self.block) >> 61) * self.block + lane
            signs = (((a3 * number + a4) * number + a5) * number + a6) % PRIME
            yield row * self.columns + column, -1 if signs >> lane & 1 else 1

    def magnitudes(self, d, counters):
        return [abs(sorted(sign * counters[at] for at, sign in self.places(i))[self.rows // 2]) for i in range(d)]

    def indices(self, d, heavy, count):
        """The heavy ones, and others from the seed by their ranks among the rest."""
        taken = set(heavy)
        others = [i for i in range(d) if i not in taken]
        ranks = random_k(len(others), count - len(taken), ~self.seed & (1 << 64) - 1)
        return sorted(taken | {others[rank] for rank in ranks})


def decode_sketched(d, rest):
    """Kind 11: its table's shape, and items (index, float)."""
    rows, block, width = rest.take(3)
    columns = rest.varint()
    need(rows % 2 and rows <= 63 and 2 <= width <= 8, "rows or bits out of range")
    need(1 <= block <= 16 and columns and columns % block == 0 and columns < 1 << 32, "block or columns out of range")
    sketch = Sketch(rows, columns, block, int.from_bytes(rest.take(8), "little"))
    bits = Bits(rest.take(-(-rows * columns * width // 8)))
    half = 1 << width - 1
    counters = [(bits.number(width) ^ half) - half for _ in range(rows * columns)]
    bits.finish()
    need(min(counters) > -half, "a counter without an opposite")
    count, heavy, ties = rest.varint(), rest.varint(), rest.varint()
    least = rest.take(1)[0]
    need(heavy <= count <= d and ties <= heavy and least < half, "count, heavy ones, ties or least out of range")
    need(bool(heavy) == bool(ties) == bool(least), "heavy ones without a magnitude")
    magnitudes = sketch.magnitudes(d, counters) if least else []
    equal = [i for i, size in enumerate(magnitudes) if size == least]
    found = [i for i, size in enumerate(magnitudes) if size > least] + equal[:ties]
    need(len(found) == heavy and len(equal) >= ties, "not as many heavy ones as are said")
    values = floats(rest.take(4 * count))
    need(rest.left() == 0, "bytes left over")
    return ("sketched", rows, block, width, columns, count), list(zip(sketch.indices(d, found, count), values))


def sketch_shape(codec, d, ratio, bits, rank):
    """What is agreed of a sketched payload."""
    rows, block, count = 2 * rank + 1, BLOCKS[codec], top_count(ratio, d)
    columns = max(5 * min(count, d // rows // 5) // block, 1) * block
    return "sketched", rows, block, bits, columns, count


def decode(payload, inside=False):
    rest = Bytes(bytes(payload))
    first = rest.take(1)[0]
    kind, version, adaptive, bitmap = first & 15, first >> 4 & 3, first >> 6 & 1, first >> 7
    need(version == 1, "unknown version")
    need(kind == SUPPORT if inside else kind in NAMES or kind == SKETCHED, "unknown kind")
    d = rest.varint()
    need(1 <= d < 1 << 32, "d out of range")
    if kind in (CODED, SKETCHED):
        need(not bitmap and not adaptive, "a flag without a range")
        forms, items = (decode_coded if kind == CODED else decode_sketched)(d, rest)
        return Payload(forms, d, None, None, items)
    count = d if kind == DENSE else rest.varint()
    need(count <= d, "count above d")
    lam = step = None
    level_min = 1
    if kind == THRESHOLD:
        (value,) = floats(rest.take(4))
        need(value > 0, "lambda is not positive")
        lam = Fraction(value)
    elif kind == INT_THRESHOLD:
        k, shift = struct.unpack("<bB", rest.take(2))
        need(-100 <= k <= 60 and shift <= 17, "step or shift out of range")
        step = Fraction(2) ** k
        lam = step * Fraction(2) ** (shift - 1)
        level_min = 1 if shift == 0 else 1 << (shift - 1)
    if kind == DENSE or count == 0:
        need(not bitmap and not adaptive, "a flag without a range")
        items = list(enumerate(floats(rest.take(4 * d)))) if kind == DENSE else []
        need(rest.left() == 0, "bytes left over")
    elif adaptive:
        need(not bitmap, "bitmap flag without a range")
        items = adaptive_items(kind, level_min, d, count, rest)
    else:
        items = decode_ranges(kind, level_min, d, count, bitmap, rest)
    if kind == THRESHOLD:
        need(all(abs(Fraction(value)) >= lam for _, value in items), "value below lambda")
    if kind in (TOPK, TOPK_TENSOR):
        need(all(value != 0 for _, value in items), "zero was sent")
    return Payload(NAMES.get(kind), d, lam, step, items)


def top_count(ratio, elems):
    return max(1, math.floor(ratio * elems))


def decode_factored(data, codec, d, shapes, rank=None):
    """Kind 9, which only the shapes of the tensors can tell apart."""
    rest = Bytes(bytes(data))
    need(rest.take(1)[0] == FACTORED | 1 << 4 and rest.varint() == d, "another kind, version or size")
    items = []
    for a, b in shapes:
        form = rest.varint()
        if not form:
            values = floats(rest.take(4 * a * b))
        else:
            r = form - 1
            need(r * (a + b) < a * b and (rank is None or r <= rank), "rank out of range")
            left, right = floats(rest.take(4 * r * a)), floats(rest.take(4 * r * b))
            values = []
            for i in range(a):
                for j in range(b):
                    total = 0.0
                    for k in range(r):
                        total += left[k * a + i] * right[k * b + j]
                    values.append(single(total))
        items += values
    need(rest.left() == 0, "bytes left over")
    need(all(math.isfinite(value) for value in items), "value is not finite")
    return Payload(codec, d, None, None, list(enumerate(items)))


def decode_parts(data, codec, d, shapes, dense_below, lam=None, step=None, **agreed):
    """Kind 10: items are (index, exact value)."""
    rest = Bytes(bytes(data))
    need(rest.take(1)[0] == PARTS | 1 << 4 and rest.varint() == d, "another kind, version or size")
    items, start = [], 0
    for a, b in shapes:
        part = rest.take(rest.varint())
        if a * b < dense_below:
            found = decode_agreed(part, "dense", a * b)
        else:
            found = decode_agreed(part, codec, a * b, lam, step, tensors=[a * b], shapes=[(a, b)], **agreed)
        items += [(start + index, value(found, item)) for index, item in found.items]
        start += a * b
    need(rest.left() == 0, "bytes left over")
    return Payload(codec, d, None, None, items)


def decode_agreed(payload, codec, d, lam=None, step=None, ratio=None, tensors=None, shapes=None, rank=None, contributors=None, dense_below=0, bits=None):
    """decode(), and the payload must be of this codec, size, lambda, step, ratio, tensors, contributors, and bits where a receiver knows them."""
    if dense_below:
        return decode_parts(payload, codec, d, shapes, dense_below, lam, step, ratio=ratio, rank=rank, contributors=contributors, bits=bits)
    if codec in ("power-sgd", "low-rank"):
        return decode_factored(payload, codec, d, shapes, rank if codec == "power-sgd" else None)
    found = decode(payload)
    forms = FORMS[codec] + (contributors,) if codec == "block-int" else FORMS.get(codec, codec)
    if codec in BLOCKS:
        forms = sketch_shape(codec, d, ratio, bits, rank)
    need((found.codec, found.d) == (forms, d), "another codec or size")
    need((found.lam, found.step) == (lam, step), "another lambda or step")
    if codec.startswith("topk") or codec == "qsparse" or codec in ESTIMATED:
        start = 0
        for elems in tensors if codec == "topk-tensor" else [d]:
            sent = sum(start <= index < start + elems for index, _ in found.items)
            need(sent <= top_count(ratio, elems), "more coordinates than agreed")
            start += elems
    return found


def value(payload, item):
    """Exact value of one decoded item, a Fraction."""
    return item * payload.step if payload.step is not None else Fraction(item)
