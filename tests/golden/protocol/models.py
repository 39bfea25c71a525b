#!/usr/bin/python3
"""Prints the constants of test_digest.c and test_model_spec.c: digests of known values, and x_0 by the seeded
rule, made from protocol/README.md alone. Needs python3-xxhash."""
import math
import struct

import xxhash

MASK = 0xFFFFFFFF


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def digest(values):
    data = struct.pack("<%df" % len(values), *values)
    leaves = [xxhash.xxh3_64_intdigest(data[at : at + 4 * 4096]) for at in range(0, len(data), 4 * 4096)]
    return xxhash.xxh3_128_hexdigest(struct.pack("<Q%dQ" % len(leaves), len(values), *leaves))


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., SC 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def words(seed, stream):
    block = 0
    while True:
        yield from philox((block & MASK, block >> 32, stream & MASK, stream >> 32), (seed & MASK, seed >> 32))
        block += 1


def x_0(sizes, seed):
    """sizes: inputs, hidden units..., outputs."""
    values = []
    for layer in range(len(sizes) - 1):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        source = words(seed, 2 * layer)
        root = f32(math.sqrt(inputs))
        for _ in range(inputs * outputs):
            u = (next(source) >> 8) * 2.0**-24
            values.append(f32((2 * u - 1) / root))
        values += [0.0] * outputs
    return values


if __name__ == "__main__":
    for elems in (0, 1, 4095, 4096, 4097, 10000):
        print("digest of i / 4 - 100,", elems, digest([i / 4 - 100 for i in range(elems)]))
    for sizes, seed in (((64, 64, 10), 7), ((3, 1), 0), ((5, 4, 3, 2), (1 << 64) - 1)):
        values = x_0(sizes, seed)
        print("x_0", sizes, seed, [v.hex() for v in values[:4]], values[-1].hex(), digest(values))
