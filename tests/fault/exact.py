"""Exact arithmetic on float32 vectors, and the seeded first model, written from the specs alone (no project code).

A float32 is an integer number of units of 2^-149, so sums of float32 are sums of Python integers.
"""
import math
import struct

UNIT_LOG2 = -149


def units(raw):
    """float32 little-endian bytes to integers in units of 2^-149."""
    out = []
    for (bits,) in struct.iter_unpack("<I", raw):
        exponent = bits >> 23 & 255
        if exponent == 255:
            raise ValueError("NaN or infinity in a stored vector")
        mantissa = bits & 0x7FFFFF
        value = mantissa if exponent == 0 else (mantissa | 0x800000) << (exponent - 1)
        out.append(-value if bits >> 31 else value)
    return out


def value_units(value):
    """A Python float that is exact in float32 to units of 2^-149."""
    numerator, denominator = value.as_integer_ratio()
    scaled = numerator << -UNIT_LOG2
    if scaled % denominator:
        raise ValueError(f"{value} is no multiple of 2^-149")
    return scaled // denominator


def float32(value):
    """A float64 rounded to float32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def _philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c0, c1, c2, c3


def first_model(layers, seed):
    """x_0 by the seeded rule of protocol/README.md for layers = [inputs, hidden..., outputs]."""
    model = []
    for layer in range(len(layers) - 1):
        inputs, outputs = layers[layer], layers[layer + 1]
        fan_in = float32(math.sqrt(float(inputs)))
        stream = 2 * layer  # tensors are numbered weight, bias, weight, bias...
        block, words = 0, []
        for _ in range(inputs * outputs):
            if not words:
                words = list(_philox((block & 0xFFFFFFFF, block >> 32, stream & 0xFFFFFFFF, stream >> 32),
                                     (seed & 0xFFFFFFFF, seed >> 32)))
                block += 1
            uniform = (words.pop(0) >> 8) * 2.0 ** -24
            model.append(float32(float32(2.0 * uniform - 1.0) / fan_in))
        model.extend([0.0] * outputs)
    return model
