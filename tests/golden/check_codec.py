"""Checks the golden codec payloads with the independent decoder, and their values by definition in rationals.

Run as: python3 tests/golden/check_codec.py (exit code 0: all right). tests/unit/codec/test_golden_payload.c checks the
same files with the C code. Format of the files: blank-line separated cases of `word rest` lines; input and
output are `index:float32 bits` pairs, zero elsewhere.
"""
import math
import pathlib
import struct
import sys
from fractions import Fraction

import payload as wire

# Where p - q is rounded once, or does not stay.
ROUNDED = ("round-random", "natural", "block-int")

HERE = pathlib.Path(__file__).parent / "codec"


def cases(name):
    for block in (HERE / name).read_text().split("\n\n"):
        if block.strip():
            yield dict((line + " ").split(" ", 1) for line in block.strip().split("\n"))


def pairs(text):
    for item in text.split():
        index, bits = item.split(":")
        yield int(index), struct.unpack(">f", bytes.fromhex(bits))[0]


def agreed(case):
    codec, d = case["codec"].split()
    lam = Fraction(float.fromhex(case["lambda"])) if "lambda" in case else None
    step = Fraction(2) ** int(case["step"]) if "step" in case else None
    ratio = float(case["ratio"]) if "ratio" in case else None
    tensors = [int(elems) for elems in case["tensors"].split()] if "tensors" in case else None
    shapes = [tuple(int(n) for n in shape.split("x")) for shape in case.get("shapes", "").split()]
    rank = int(case["rank"]) if "rank" in case else None
    contributors = int(case.get("contributors", 1))
    bits = int(case["bits"]) if "bits" in case else None
    return dict(bits=bits, dense_below=int(case.get("dense_below", 0)), contributors=contributors, shapes=shapes, rank=rank, codec=codec, d=int(d), lam=lam, step=step, ratio=ratio, tensors=tensors)


def philox(seed, block):
    """Philox4x32-10 (Salmon et al., 2011): four words."""
    counter, key = [block & 0xffffffff, block >> 32, 0, 0], [seed & 0xffffffff, seed >> 32]
    for _ in range(10):
        a, b = 0xd2511f53 * counter[0], 0xcd9e8d57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & 0xffffffff, a >> 32 ^ counter[3] ^ key[1], a & 0xffffffff]
        key = [(key[0] + 0x9e3779b9) & 0xffffffff, (key[1] + 0xbb67ae85) & 0xffffffff]
    return counter


def word(seed, element):
    return philox(seed, element // 4)[element % 4]


def round_random(v, step, seed, i):
    """A multiple of step next to v, the one away from zero in proportion."""
    if abs(v) >= step * 2 ** 44:
        return 0
    low = math.floor(abs(v) / step)
    level = min(low + (word(seed, i) < math.floor((abs(v) / step - low) * 2 ** 32)), wire.LEVEL_MAX)
    return level * step * (1 if v > 0 else -1)


def natural(v, seed, i):
    """A power of two next to v, or 0 below 2^-126, the one away from zero in proportion."""
    exponent = math.frexp(float(v))[1] - 1
    low = Fraction(2) ** exponent if exponent >= -126 else Fraction(0)
    high = min(2 * low or Fraction(2) ** -126, Fraction(2) ** 127)
    share = (abs(v) - low) / (high - low) if high > low else 0
    return (high if word(seed, i) < share * 2 ** 32 else low) * (1 if v > 0 else -1)


def top(values, k):
    order = sorted((i for i in values if values[i] != 0), key=lambda i: (-abs(values[i]), i))
    return {i: values[i] for i in order[:k]}


def nearest(value, bits, least):
    """value to the nearest multiple of a unit of bits significant bits, no finer than least; ties to even."""
    exponent = math.frexp(float(value))[1]
    unit = max(Fraction(2) ** (exponent - bits), least)
    return unit * round(value / unit)


def half(codec, value):
    """value in the 16-bit form of the codec; what is too large becomes the largest that is finite."""
    rounded, most = ((nearest(value, 8, Fraction(2) ** -133), Fraction(255) * 2 ** 120) if codec == "topk-bf16" else
                     (nearest(value, 11, Fraction(2) ** -24), Fraction(65504)))
    return max(-most, min(most, rounded))


def block_int(p, size, n):
    """Integers of 32 bits, scaled so that n of the largest of each block add up."""
    out = {}
    for i, v in p.items():
        most = max(abs(w) for j, w in p.items() if j // size == i // size)
        exponent = max(math.frexp(float(most))[1] + 126, 0) if most >= Fraction(2) ** -126 else 0
        scaled = abs(v) * (wire.INT_MAX - n) / (n * Fraction(2) ** (exponent - 126))
        q = math.floor(scaled + Fraction(1, 2)) * (1 if v > 0 else -1)
        out[i] = Fraction(wire.block_value(q, exponent, n))
    return {i: v for i, v in out.items() if v}


def sketched(p, d, shape, seed):
    """What a count sketch of p finds, and others from the seed."""
    _, rows, block, bits, columns, count = shape
    sketch = wire.Sketch(rows, columns, block, seed)
    square, unit = sum(v * v for v in p.values()), Fraction(2) ** -149
    while count * (2 * unit) ** 2 <= square and unit < Fraction(2) ** 127:
        unit *= 2
    counters, most = [0] * (rows * columns), (1 << bits - 1) - 1
    for i, v in p.items():
        for at, sign in sketch.places(i):
            counters[at] += sign * math.floor(abs(v) / unit + Fraction(1, 2)) * (1 if v > 0 else -1)
    magnitudes = sketch.magnitudes(d, [max(-most, min(most, counter)) for counter in counters])
    heavy = sorted((i for i in range(d) if magnitudes[i]), key=lambda i: (-magnitudes[i], i))[:count]
    return {i: p[i] for i in sketch.indices(d, heavy, count) if i in p}


def compress_parts(p, codec, shapes, dense_below, **agreed):
    """Each tensor by itself, small ones as they are."""
    out, start = {}, 0
    for a, b in shapes:
        part = {i - start: v for i, v in p.items() if start <= i < start + a * b}
        if a * b >= dense_below:
            part = compress(part, codec, **{**agreed, "d": a * b, "tensors": [a * b]})
        out.update({start + i: v for i, v in part.items()})
        start += a * b
    return out


def compress(p, codec, d, lam, step, ratio, tensors, seed, bucket, contributors, sent, bits, rank, **_):
    """The output by the definition of the codec; p and the result map index to Fraction, zeros left out."""
    if codec in ("round-random", "natural"):
        out = {i: round_random(v, step, seed, i) if codec == "round-random" else natural(v, seed, i) for i, v in p.items()}
        return {i: v for i, v in out.items() if v}
    if codec in wire.ESTIMATED:  # how many is the encoder's choice; which ones is not
        return top(p, sent)
    if codec in wire.BLOCKS:
        return sketched(p, d, wire.sketch_shape(codec, d, ratio, bits, rank), seed)
    if codec == "block-int":
        return block_int(p, bucket, contributors)
    if codec in ("topk-bf16", "topk-fp16"):
        sent = top(p, wire.top_count(ratio, d))
        return {i: half(codec, v) for i, v in sent.items() if half(codec, v)}
    if codec in ("topk", "topk-tensor"):
        out, start = {}, 0
        for elems in [d] if codec == "topk" else tensors:
            part = {i: v for i, v in p.items() if start <= i < start + elems}
            out.update(top(part, wire.top_count(ratio, elems)))
            start += elems
        return out
    if codec == "threshold":
        return {i: v for i, v in p.items() if abs(v) >= lam}
    if codec == "int-threshold":
        out = {}
        for i, v in p.items():
            if lam <= abs(v) < step * 2 ** 44:
                level = min(math.floor(abs(v) / step + Fraction(1, 2)), wire.LEVEL_MAX)
                out[i] = step * (level if v > 0 else -level)
        return out
    return dict(p)


def is_float32(value):
    return Fraction(struct.unpack("<f", struct.pack("<f", float(value)))[0]) == value


def check_accepted(case):
    what = agreed(case)
    data = bytes.fromhex(case["payload"])
    found = wire.decode_agreed(data, **what)
    decoded = {i: wire.value(found, item) for i, item in found.items}
    assert [i for i, _ in found.items] == sorted(decoded), "indices are not increasing"
    output = dict(pairs(case["output"]))
    assert {i: v for i, v in decoded.items() if v} == {i: Fraction(v) for i, v in output.items() if v}
    if what["codec"] in ("dense", "assign") and not what["dense_below"]:  # the sign of zero travels
        assert all(math.copysign(1, item) == math.copysign(1, output.get(i, 0.0)) for i, item in found.items)
    if "input" in case:
        p = {i: Fraction(v) for i, v in pairs(case["input"]) if v}
        numbers = {name: int(case.get(name, default)) for name, default in (("seed", 0), ("bucket", 0))}
        numbers["sent"] = len(found.items)
        assert {i: v for i, v in decoded.items() if v} == (compress_parts if what["dense_below"] else compress)(p, **what, **numbers), "not what the codec defines"
        for i, v in p.items() if what["codec"] not in ROUNDED else ():  # rule R8: the residual is exact
            assert is_float32(v - decoded.get(i, 0)), "residual is not a float32"
    for size in range(0, len(data), 1 + len(data) // 50):
        try:
            wire.decode_agreed(data[:size], **what)
        except wire.Refused:
            continue
        raise AssertionError("a truncated payload was accepted")


def check_refused(case):
    try:
        wire.decode_agreed(bytes.fromhex(case["payload"]), **agreed(case))
    except wire.Refused:
        return
    raise AssertionError("was accepted")


def main():
    count = failed = 0
    for name, check in (("accepted.txt", check_accepted), ("refused.txt", check_refused)):
        for case in cases(name):
            count += 1
            try:
                check(case)
            except (AssertionError, wire.Refused) as error:
                failed += 1
                print(f"{name}: {case['case']}: {error!r}")
    print(f"{count} payloads, {failed} wrong")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
