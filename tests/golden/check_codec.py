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
    return dict(shapes=shapes, rank=rank, codec=codec, d=int(d), lam=lam, step=step, ratio=ratio, tensors=tensors)


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


def compress(p, codec, d, lam, step, ratio, tensors, **_):
    """The output by the definition of the codec; p and the result map index to Fraction, zeros left out."""
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
    if what["codec"] in ("dense", "assign"):  # the sign of zero travels
        assert all(math.copysign(1, item) == math.copysign(1, output.get(i, 0.0)) for i, item in found.items)
    if "input" in case:
        p = {i: Fraction(v) for i, v in pairs(case["input"]) if v}
        assert {i: v for i, v in decoded.items() if v} == compress(p, **what), "not what the codec defines"
        for i, v in p.items():  # rule R8: the residual is exact
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
