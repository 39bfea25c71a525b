"""Checks the golden supports with an independent generator, written from codec/README.md ("Supports from a seed").

Run as: python3 tests/golden/check_supports.py (exit code 0: all right). tests/unit/codec/test_seeded_support.c checks the
same file with the C code. Each line: kind, its arguments, a colon, the indices. Python 3, standard library only.
"""
import math
import pathlib
import sys

MASK = (1 << 32) - 1


class Stream:
    """Philox4x32-10, Salmon et al., SC 2011."""

    def __init__(self, seed, stream):
        self.key, self.stream, self.block, self.words = seed, stream, 0, []

    def u32(self):
        if not self.words:
            c = [self.block & MASK, self.block >> 32, self.stream & MASK, self.stream >> 32]
            k = [self.key & MASK, self.key >> 32]
            for _ in range(10):
                p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [(q >> 32) ^ c[1] ^ k[0], q & MASK, (p >> 32) ^ c[3] ^ k[1], p & MASK]
                k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
            self.words = c
            self.block += 1
        return self.words.pop(0)

    def u64(self):
        low = self.u32()
        return low | self.u32() << 32

    def below(self, bound):
        while True:
            draw = self.u64()
            if draw >= 2**64 % bound:
                return draw % bound

    def unit(self):
        return ((self.u64() >> 12) + 0.5) * 2.0**-52


def random_k(d, k, seed):
    stream, at, left = Stream(seed, 0), 0, k
    while left:
        n = d - at
        if n < 16 or left >= n // 4:
            if stream.below(n) < left:
                yield at
                left -= 1
            at += 1
            continue
        end, bound_n, bound_k = at + n // 8, n - n // 8 + 1, left
        powers = [(bound_n - bound_k) / bound_n]
        while (n // 8) >> len(powers):
            powers.append(powers[-1] * powers[-1])
        while at < end and left:
            u, reached, gap = stream.unit(), 1.0, 0
            for j in reversed(range(len(powers))):
                if reached * powers[j] > u:
                    reached *= powers[j]
                    gap += 1 << j
            if gap >= end - at:
                at = end
                break
            at += gap
            if stream.below((d - at) * bound_k) < left * bound_n:
                yield at
                left -= 1
            at += 1


def block(d, k, seed):
    start = Stream(seed, 0).below(d)
    return sorted((start + i) % d for i in range(k))


def grbs(shapes, ratios, seed):
    base = 0
    for number, (rows, columns) in enumerate(shapes):
        stream = Stream(seed, number)
        takes_part = stream.unit() < ratios[2]
        cross = []
        for lines, ratio in (rows, ratios[0]), (columns, ratios[1] if columns > 1 else 1.0):
            size = max(1, math.floor(lines * ratio + 0.5))
            start = size * stream.below(-(-lines // size))
            cross.append(range(start, min(start + size, lines)))
        if takes_part:
            yield from (base + row * columns + column for row in cross[0] for column in cross[1])
        base += rows * columns


def support(kind, arguments):
    if kind == "grbs":
        ratios, numbers = [float(x) for x in arguments[1:4]], [int(x) for x in arguments[4:]]
        return list(grbs(list(zip(numbers[::2], numbers[1::2])), ratios, int(arguments[0])))
    d, k, seed = (int(x) for x in arguments)
    return list({"random": random_k, "block": block}[kind](d, k, seed))


def main():
    wrong = checked = 0
    for line in (pathlib.Path(__file__).parent / "codec" / "supports.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        head, indices = line.split(":")
        kind, *arguments = head.split()
        checked += 1
        if support(kind, arguments) != [int(i) for i in indices.split()]:
            wrong += 1
            print("differs:", head)
    print(f"{checked} supports, {wrong} differ")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
