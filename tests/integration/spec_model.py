"""Models of a run, written from protocol/README.md alone: x_0 by the seeded rule, digest, snapshot and delta, and
softmax regression in plain Python (small models only)."""
import math
import random
import struct

import xxhash

import spec_payload
from spec_payload import f32

U32 = 0xFFFFFFFF
LEAF = 4096


def pack(values):
    return struct.pack(f"<{len(values)}f", *values)


def unpack(data):
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def digest(values):
    data = pack(values)
    parts = struct.pack("<Q", len(values))
    for at in range(0, len(data), 4 * LEAF):
        parts += struct.pack("<Q", xxhash.xxh3_64_intdigest(data[at : at + 4 * LEAF]))
    return xxhash.xxh3_128_digest(parts)


def philox4x32_10(key, counter):
    """Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & U32, (a >> 32) ^ c3 ^ k1, a & U32
        k0, k1 = (k0 + 0x9E3779B9) & U32, (k1 + 0xBB67AE85) & U32
    return c0, c1, c2, c3


def words(seed, stream, count):
    for i in range((count + 3) // 4):
        block = philox4x32_10((seed & U32, seed >> 32), (i & U32, i >> 32, stream & U32, stream >> 32))
        yield from block[: count - 4 * i]


def layers(model):
    """(inputs, outputs) of each layer."""
    sizes = [model["inputs"], *model.get("hidden", []), model["outputs"]]
    return list(zip(sizes, sizes[1:]))


def first_values(model):
    """x_0 by the seeded rule."""
    values = []
    for layer, (inputs, outputs) in enumerate(layers(model)):
        root = f32(math.sqrt(f32(inputs)))
        for word in words(model.get("seed", 0), 2 * layer, inputs * outputs):
            u = (word >> 8) * 2.0**-24
            values.append(f32((2 * u - 1) / root))
        values += [0.0] * outputs
    return values


def receive(message, held, values):
    """Values after the model message; held and values are the version and the replica so far (None: nothing)."""
    epoch, number, want = message["b"][:3]
    if message.get("f", 0) == 0:
        if len(message["x"]) != 4 * message["d"]:
            raise ValueError("snapshot of another length")
        values = unpack(message["x"])
    else:
        delta = spec_payload.decode(message["x"])
        if held is None or held[0] != epoch or not message.get("o", 0) <= held[1] < number:
            raise ValueError(f"delta to {number} does not fit the version held, {held}")
        if delta.kind != spec_payload.ASSIGNMENT or not delta.d == message["d"] == len(values):
            raise ValueError("delta of another kind or size")
        values = list(values)
        for index, value in delta.values.items():
            values[index] = value
    if digest(values) != want:
        raise ValueError(f"digest of version {number} differs")
    return values


class Softmax:
    """Softmax regression on rows of (features, label)."""

    def __init__(self, model):
        if model["kind"] != "softmax":
            raise ValueError(f"cannot train a model of kind {model['kind']}")
        self.inputs, self.outputs = model["inputs"], model["outputs"]

    def probabilities(self, x, features):
        bias = self.inputs * self.outputs
        z = []
        for c in range(self.outputs):
            row = c * self.inputs
            z.append(x[bias + c] + sum(x[row + j] * f for j, f in enumerate(features) if f))
        top = max(z)
        e = [math.exp(v - top) for v in z]
        total = sum(e)
        return [v / total for v in e]

    def evaluate(self, x, rows):
        """[examples, correct, loss summed over the examples]"""
        correct, loss = 0, 0.0
        for features, label in rows:
            p = self.probabilities(x, features)
            correct += p.index(max(p)) == label
            loss -= math.log(max(p[label], 1e-30))
        return [len(rows), correct, loss]

    def train(self, x_start, rows, plan):
        """Mini-batch SGD by the plan of the work: (x_end, steps, mean loss)."""
        x, batch = list(x_start), min(plan["b"], len(rows))
        velocity = [0.0] * len(x)
        steps = plan.get("s", 0) or plan.get("e", 0) * math.ceil(len(rows) / batch)
        order, rng, losses = [], random.Random(plan.get("z", 0)), 0.0
        for _ in range(steps):
            if not order:
                order = rng.sample(rows, len(rows))
            part, order = order[:batch], order[batch:]
            gradient = [plan.get("w", 0) * v for v in x]
            for features, label in part:
                p = self.probabilities(x, features)
                losses -= math.log(max(p[label], 1e-30)) / len(part)
                for c in range(self.outputs):
                    slope = (p[c] - (c == label)) / len(part)
                    row = c * self.inputs
                    for j, f in enumerate(features):
                        gradient[row + j] += slope * f
                    gradient[self.inputs * self.outputs + c] += slope
            for i, g in enumerate(gradient):
                velocity[i] = plan.get("m", 0) * velocity[i] + g
                x[i] -= plan["l"] * velocity[i]
        return [f32(v) for v in x], steps, losses / max(steps, 1)
