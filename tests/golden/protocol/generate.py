#!/usr/bin/python3
"""Writes the golden vectors of the protocol, from protocol/README.md and python3-msgpack alone.

accepted/KIND-CASE.bin        must decode; KIND-CASE.json beside it holds the fields it means
refused/KIND-CASE.STATUS.bin  must be refused with STATUS

Run without arguments in any folder; rewrites both folders beside this file.
"""
import json
import math
import pathlib
import shutil
import struct

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
DIGEST = bytes(range(16))
HASH = bytes(range(32))
BASE = [1, 17, DIGEST]
CODEC = {"name": "int-threshold", "lambda": 0.0078125, "step": -6}
PARTS = {"name": "parts", "part": "int-threshold", "dense_below": 65, "lambda": 0.0078125, "step": -6}
MODEL = {"kind": "mlp", "inputs": 64, "outputs": 10, "hidden": [64], "seed": 7}
RUN = {
    "name": "digits",
    "epoch": 1,
    "state": "active",
    "round": 18,
    "rounds": 60,
    "version": BASE,
    "model": MODEL,
    "codec": CODEC,
}
PLAN = {"s": 20, "b": 32, "l": 0.125, "m": 0.5, "z": 1 << 63}
UPDATE = {"v": 1, "r": 18, "b": BASE, "w": 180, "s": 20, "l": 0.1, "n": 0.25, "m": [45, 41, 9.5], "p": b"payload"}
CALIBRATION = {"v": 1, "k": 1, "r": 0, "b": [1, 0, DIGEST], "w": 180, "s": 20, "l": 2.5, "x": 0.375}
WORK = {"v": 1, "r": 18, "b": BASE, "q": 18, "t": 60000, "p": PLAN, "c": CODEC}
VERDICT = {"v": 1, "k": 0, "e": 1, "q": 18, "h": HASH, "r": 18, "n": 19, "t": HASH[::-1]}
PROOF = {"v": 1, "e": 1, "q": 18, "h": HASH, "r": 18, "w": 180, "a": 16, "t": HASH[::-1]}
STANDING = {"v": 1, "k": 1, "e": 1, "n": 19}
SNAPSHOT = {"v": 1, "b": BASE, "d": 2, "x": struct.pack("<2f", 1.5, -2.0)}
DELTA = {"v": 1, "f": 1, "b": BASE, "o": 12, "d": 4810, "x": b"sparse"}
ENROLL = {"v": 1, "token": "id.secret", "name": "ward 3 \u00e9", "csr": b"\x30\x00"}
ANSWER = {"v": 1, "client": "00112233445566778899aabbccddeeff", "chain": b"-----BEGIN CERTIFICATE-----\n"}

pack = msgpack.packb


def but(message, **changes):
    """message with some keys replaced; None removes one."""
    result = dict(message)
    for key, value in changes.items():
        if value is None:
            result.pop(key)
        else:
            result[key] = value
    return result


def single(message):
    return pack(message, use_single_float=True)


def raw(message, key, value_bytes):
    """message with the value of key replaced by hand-made bytes."""
    out = pack_map_head(len(message))
    for name, value in message.items():
        out += pack(name) + (value_bytes if name == key else pack(value))
    return out


def pack_map_head(count):
    return bytes([0x80 | count])


def nested(depth):
    return b"\x91" * (depth - 1) + b"\x90"


def codec_fields(codec):
    return {
        "name": codec["name"],
        "lambda": codec.get("lambda", 0),
        "step_log2": codec.get("step", 0),
        "ratio": codec.get("ratio", 0),
        "bits": codec.get("bits", 0),
        "bucket": codec.get("bucket", 0),
        "rank": codec.get("rank", 0),
        "part": codec.get("part", ""),
        "dense_below": codec.get("dense_below", 0),
    }


def version_fields(version):
    return {"epoch": version[0], "number": version[1], "digest": version[2].hex()}


def run_fields(run):
    model = run["model"]
    return {
        "name": run["name"],
        "epoch": run["epoch"],
        "state": run["state"],
        "round": run["round"],
        "rounds": run["rounds"],
        "version": version_fields(run["version"]),
        "model": {
            "kind": model["kind"],
            "inputs": model["inputs"],
            "outputs": model["outputs"],
            "hidden": model.get("hidden", []),
            "seed": model.get("seed", 0),
        },
        "codec": codec_fields(run["codec"]),
        "origin": run.get("origin", run["epoch"]),
    }


def fields(kind, m):
    """What the message means, defaults filled in, under the names of protocol/messages.h."""
    if kind == "run_info":
        return run_fields(m)
    if kind == "run_list":
        return {"runs": [run_fields(run) for run in m["runs"]]}
    if kind == "enroll_request":
        return {"token": m["token"], "name": m.get("name", ""), "csr": m["csr"].hex()}
    if kind == "enroll_answer":
        return {"client": m["client"], "chain": m["chain"].hex()}
    if kind == "work":
        plan = m["p"]
        return {
            "kind": m.get("k", 0),
            "round": m["r"],
            "base": version_fields(m["b"]),
            "seq": m["q"],
            "deadline_ms": m["t"],
            "plan": {
                "steps": plan.get("s", 0),
                "epochs": plan.get("e", 0),
                "batch": plan["b"],
                "learning_rate": plan["l"],
                "momentum": plan.get("m", 0),
                "weight_decay": plan.get("w", 0),
                "seed": plan.get("z", 0),
            },
            "codec": codec_fields(m["c"]),
        }
    if kind == "update":
        metrics = m.get("m", [0, 0, 0])
        return {
            "kind": m.get("k", 0),
            "round": m["r"],
            "base": version_fields(m["b"]),
            "weight": m["w"],
            "steps": m["s"],
            "train_loss": m.get("l", 0),
            "delta_squares": m.get("x", 0) if m.get("k", 0) else 0,
            "residual_norm": m.get("n", 0),
            "dropped": m.get("d", 0),
            "metrics": {"examples": metrics[0], "correct": metrics[1], "loss_sum": metrics[2]},
            "payload": m.get("p", b"").hex(),
        }
    if kind == "verdict":
        return {
            "kind": m["k"],
            "epoch": m["e"],
            "seq": m["q"],
            "digest": m["h"].hex(),
            "round": m["r"],
            "expected_seq": m["n"],
            "receipt": m.get("t", bytes(32)).hex(),
            "reason": m.get("m", ""),
            "total": m.get("a", 0),
        }
    if kind == "proof":
        return {
            "kind": m.get("k", 0),
            "epoch": m.get("e", 0),
            "seq": m.get("q", 0),
            "digest": m.get("h", bytes(32)).hex(),
            "round": m.get("r", 0),
            "weight": m.get("w", 0),
            "total": m.get("a", 0),
            "receipt": m.get("t", bytes(32)).hex(),
        }
    if kind == "standing":
        return {"state": m["k"], "epoch": m["e"], "expected_seq": m["n"], "lost": m.get("l", 0)}
    assert kind == "model_message"
    delta = m.get("f", 0) == 1
    return {
        "form": m.get("f", 0),
        "version": version_fields(m["b"]),
        "from": version_fields([m["b"][0] if delta else 0, m.get("o", 0) if delta else 0, bytes(16)]),
        "elems": m["d"],
        "data": m["x"].hex(),
    }


def accepted():
    yield "update", "plain", but(UPDATE, l=0.125), single(but(UPDATE, l=0.125))
    yield "update", "float64", UPDATE, pack(UPDATE)
    yield "update", "least", *two({"v": 1, "r": 0, "b": [0, 0, DIGEST], "w": 1, "s": 0})
    yield "update", "calibration", CALIBRATION, pack(CALIBRATION)
    yield "update", "largest-numbers", *two(
        but(UPDATE, r=(1 << 64) - 1, b=[(1 << 64) - 1, (1 << 64) - 1, DIGEST], w=1 << 24, s=1000000, d=(1 << 64) - 1)
    )
    yield "update", "unknown-keys", but(UPDATE), pack(
        but(UPDATE, zz={"a": [1, [2.5, None, True, b"x"], msgpack.ExtType(5, b"ext")], 7: -1})
    )
    yield "update", "other-order", UPDATE, pack(dict(reversed(list(UPDATE.items()))))
    yield "update", "integers-as-floats", but(UPDATE, l=2, n=1, m=[45, 41, 9]), pack(
        but(UPDATE, l=2, n=1, m=[45, 41, 9])
    )
    yield "update", "wide-integers", UPDATE, raw(UPDATE, "w", b"\xd3" + (180).to_bytes(8, "big"))
    yield "update", "wide-containers", UPDATE, (
        b"\xdf" + len(UPDATE).to_bytes(4, "big") + pack(UPDATE)[1:].replace(b"\x93\x01\x11", b"\xdd\0\0\0\x03\x01\x11")
    )
    yield "update", "longer-arrays", UPDATE, pack(but(UPDATE, b=BASE + ["new"], m=[45, 41, 9.5, {"new": 1}]))
    yield "update", "defaults-written-out", but(UPDATE, l=0, n=0, m=[0, 0, 0], p=b""), pack(
        but(UPDATE, k=0, l=0.0, n=0.0, d=0, m=[0, 0, 0.0], x=0.0, p=b"")
    )
    yield "update", "eight-deep", UPDATE, raw(but(UPDATE, zz=0), "zz", nested(7))
    yield "work", "plain", *two(WORK)
    yield "work", "least", *two(but(WORK, p={"e": 1, "b": 1, "l": 0.0}, c={"name": "dense"}))
    yield "work", "calibration", *two(but(WORK, k=1, r=0, c={"name": "int-threshold"}))
    yield "work", "top-k", *two(but(WORK, c={"name": "topk", "ratio": 0.03125}))
    for kind, case in enumerate(("accepted", "late", "ended", "invalid")):
        yield "verdict", case, *two(but(VERDICT, k=kind, **({"m": "why: \u00fc"} if kind else {})))
    yield "verdict", "with-total", *two(but(VERDICT, a=16))
    yield "proof", "accepted", *two(PROOF)
    yield "proof", "late", *two(but(PROOF, k=1, a=15))
    yield "proof", "nothing-to-show", *two({"v": 1})
    yield "standing", "known", *two(STANDING)
    yield "standing", "unproven", *two(but(STANDING, k=0))
    yield "standing", "lost", *two(but(STANDING, k=2, e=1782604800 << 20, l=2))
    yield "run_info", "restored", *two({"v": 1, **but(RUN, epoch=1782604800 << 20), "origin": 1})
    yield "verdict", "conflict", *two(but(VERDICT, k=4, t=None, m="expected 12"))
    yield "run_info", "mlp", *two({"v": 1, **RUN})
    yield "run_info", "logistic-ended", *two(
        {"v": 1, **but(RUN, state="ended", model={"kind": "logistic", "inputs": 123, "outputs": 1})}
    )
    yield "run_list", "empty", *two({"v": 1, "runs": []})
    yield "run_list", "quantised", *two({"v": 1, "runs": [but(RUN, codec={"name": "qsgd", "bits": 3, "bucket": 512, "rank": 2})]})
    yield "run_info", "parts", *two({"v": 1, **but(RUN, codec=PARTS)})
    yield "work", "parts", *two(but(WORK, c=PARTS))
    yield "run_list", "two", *two({"v": 1, "runs": [RUN, but(RUN, name="other", codec={"name": "dense"})]})
    yield "model_message", "snapshot", *two(SNAPSHOT)
    yield "model_message", "delta", *two(DELTA)
    yield "model_message", "delta-from-0", *two(but(DELTA, o=None))
    yield "enroll_request", "plain", *two(ENROLL)
    yield "enroll_answer", "plain", *two(ANSWER)


def two(message):
    return message, pack(message)


def refused():
    update = pack(UPDATE)
    yield "update", "empty", "TRUNCATED", b""
    yield "update", "cut", "TRUNCATED", update[:-1]
    yield "update", "cut-in-head", "TRUNCATED", update[:20]
    yield "update", "trailing-byte", "FORMAT", update + b"\xc0"
    yield "update", "not-a-map", "FORMAT", pack([1, 2])
    yield "update", "nil", "FORMAT", b"\xc0"
    yield "update", "never-used-byte", "FORMAT", raw(UPDATE, "w", b"\xc1")
    yield "update", "version-2", "VERSION", pack(but(UPDATE, v=2))
    yield "update", "version-2-all-else-wrong", "VERSION", pack({"v": 2, "r": "x", 7: []}) + b"junk"
    yield "update", "version-2-truncated", "VERSION", pack({"v": 2, "r": 1})[:-2]
    yield "update", "version-last", "VERSION", pack({"r": "x", "v": 1 << 40})
    yield "update", "version-negative", "VERSION", pack(but(UPDATE, v=-1))
    yield "update", "version-text", "FORMAT", pack(but(UPDATE, v="1"))
    yield "update", "version-missing", "FORMAT", pack(but(UPDATE, v=None))
    yield "update", "array-of-4-g", "TRUNCATED", raw(but(UPDATE, zz=0), "zz", b"\xdd\xff\xff\xff\xff")
    yield "update", "map-of-4-g", "TRUNCATED", b"\xdf\xff\xff\xff\xff" + update[1:]
    yield "update", "bin-of-4-g", "TRUNCATED", raw(UPDATE, "p", b"\xc6\xff\xff\xff\xff")
    yield "update", "nested-9", "LIMIT", raw(but(UPDATE, zz=0), "zz", nested(8))
    yield "update", "nested-5000", "LIMIT", raw(but(UPDATE, zz=0), "zz", nested(5000))
    yield "update", "65-keys", "LIMIT", pack({**UPDATE, **{"k%d" % i: 0 for i in range(65 - len(UPDATE))}})
    yield "update", "long-key", "LIMIT", pack(but(UPDATE, **{"k" * 65: 0}))
    yield "update", "key-not-text", "FORMAT", pack({**UPDATE, 7: 7})
    yield "update", "repeated-key", "FORMAT", bytes([update[0] + 1]) + update[1:] + pack("w") + pack(180)
    yield "update", "repeated-version", "FORMAT", bytes([update[0] + 1]) + update[1:] + pack("v") + pack(1)
    for key in "rbws":
        yield "update", "without-" + key, "FORMAT", pack(but(UPDATE, **{key: None}))
    yield "update", "weight-text", "FORMAT", pack(but(UPDATE, w="180"))
    yield "update", "weight-float", "FORMAT", pack(but(UPDATE, w=180.0))
    yield "update", "weight-0", "RANGE", pack(but(UPDATE, w=0))
    yield "update", "weight-large", "RANGE", pack(but(UPDATE, w=(1 << 24) + 1))
    yield "update", "weight-negative", "RANGE", pack(but(UPDATE, w=-1))
    yield "update", "steps-large", "RANGE", pack(but(UPDATE, s=1000001))
    yield "update", "kind-unknown", "RANGE", pack(but(UPDATE, k=2))
    yield "update", "loss-nan", "NOT_FINITE", pack(but(UPDATE, l=math.nan))
    yield "update", "loss-infinite", "NOT_FINITE", single(but(UPDATE, l=math.inf))
    yield "update", "norm-negative", "RANGE", pack(but(UPDATE, n=-0.5))
    yield "update", "norm-above-float32", "RANGE", pack(but(UPDATE, n=1e39))
    yield "update", "norm-nil", "FORMAT", raw(UPDATE, "n", b"\xc0")
    yield "update", "base-short", "FORMAT", pack(but(UPDATE, b=BASE[:2]))
    yield "update", "base-map", "FORMAT", pack(but(UPDATE, b={}))
    yield "update", "base-digest-short", "FORMAT", pack(but(UPDATE, b=[1, 17, DIGEST[:15]]))
    yield "update", "base-digest-text", "FORMAT", pack(but(UPDATE, b=[1, 17, "0" * 16]))
    yield "update", "metrics-correct-above-examples", "RANGE", pack(but(UPDATE, m=[45, 46, 9.5]))
    yield "update", "payload-text", "FORMAT", pack(but(UPDATE, p="payload"))
    yield "update", "payload-in-calibration", "RANGE", pack(but(CALIBRATION, p=b"x"))
    yield "work", "seq-0", "RANGE", pack(but(WORK, q=0))
    yield "work", "no-steps", "RANGE", pack(but(WORK, p=but(PLAN, s=None)))
    yield "work", "batch-0", "RANGE", pack(but(WORK, p=but(PLAN, b=0)))
    yield "work", "momentum-1", "RANGE", pack(but(WORK, p=but(PLAN, m=1.0)))
    yield "work", "deadline-large", "RANGE", pack(but(WORK, t=(1 << 48) + 1))
    yield "work", "codec-without-name", "FORMAT", pack(but(WORK, c={"lambda": 1.0}))
    yield "work", "codec-name-long", "LIMIT", pack(but(WORK, c={"name": "n" * 65}))
    yield "work", "codec-bits-above-32", "RANGE", pack(but(WORK, c={"name": "qsgd", "bits": 33}))
    yield "work", "codec-bucket-above-32-bits", "RANGE", pack(but(WORK, c={"name": "qsgd", "bucket": 1 << 32}))
    yield "work", "codec-rank-negative", "RANGE", pack(but(WORK, c={"name": "low-rank", "rank": -1}))
    yield "work", "codec-parts-of-nothing", "RANGE", pack(but(WORK, c=but(PARTS, part=None)))
    yield "work", "codec-parts-of-parts", "RANGE", pack(but(WORK, c=but(PARTS, part="parts")))
    yield "work", "codec-parts-without-border", "RANGE", pack(but(WORK, c=but(PARTS, dense_below=None)))
    yield "work", "codec-parts-border-0", "RANGE", pack(but(WORK, c=but(PARTS, dense_below=0)))
    yield "work", "codec-parts-border-above-32-bits", "RANGE", pack(but(WORK, c=but(PARTS, dense_below=1 << 32)))
    yield "work", "codec-parts-border-negative", "RANGE", pack(but(WORK, c=but(PARTS, dense_below=-1)))
    yield "work", "codec-parts-border-text", "FORMAT", pack(but(WORK, c=but(PARTS, dense_below="64")))
    yield "work", "codec-part-is-no-name", "FORMAT", pack(but(WORK, c=but(PARTS, part="top k")))
    yield "work", "codec-part-of-another", "RANGE", pack(but(WORK, c=but(PARTS, name="topk")))
    yield "work", "codec-border-without-parts", "RANGE", pack(but(WORK, c={"name": "topk", "ratio": 0.5, "dense_below": 64}))
    yield "run_info", "codec-parts-of-nothing", "RANGE", pack({"v": 1, **but(RUN, codec=but(PARTS, part=None))})
    yield "run_list", "codec-parts-of-nothing", "RANGE", pack({"v": 1, "runs": [but(RUN, codec=but(PARTS, part=None))]})
    yield "work", "codec-ratio-above-1", "RANGE", pack(but(WORK, c={"name": "topk", "ratio": 1.5}))
    yield "verdict", "kind-5", "RANGE", pack(but(VERDICT, k=5))
    yield "verdict", "kind-missing", "FORMAT", pack(but(VERDICT, k=None))
    yield "verdict", "digest-short", "FORMAT", pack(but(VERDICT, h=HASH[:31]))
    yield "verdict", "digest-missing", "FORMAT", pack(but(VERDICT, h=None))
    yield "verdict", "reason-long", "LIMIT", pack(but(VERDICT, k=3, m="x" * 513))
    yield "verdict", "reason-control-character", "FORMAT", pack(but(VERDICT, k=3, m="a\nb"))
    yield "verdict", "reason-not-utf8", "FORMAT", raw(but(VERDICT, m=0), "m", b"\xa2\xc0\x80")
    yield "proof", "kind-conflict", "RANGE", pack(but(PROOF, k=4))
    yield "proof", "weight-large", "RANGE", pack(but(PROOF, w=(1 << 24) + 1))
    yield "proof", "receipt-short", "FORMAT", pack(but(PROOF, t=HASH[:31]))
    yield "proof", "digest-text", "FORMAT", pack(but(PROOF, h="0" * 32))
    yield "proof", "version-2", "VERSION", pack(but(PROOF, v=2))
    yield "standing", "state-unknown", "RANGE", pack(but(STANDING, k=3))
    yield "standing", "seq-0", "RANGE", pack(but(STANDING, n=0))
    yield "standing", "without-epoch", "FORMAT", pack(but(STANDING, e=None))
    yield "run_info", "state-unknown", "RANGE", pack({"v": 1, **but(RUN, state="paused")})
    yield "run_info", "name-with-slash", "FORMAT", pack({"v": 1, **but(RUN, name="a/b")})
    yield "run_info", "name-empty", "FORMAT", pack({"v": 1, **but(RUN, name="")})
    yield "run_info", "mlp-without-layers", "RANGE", pack({"v": 1, **but(RUN, model=but(MODEL, hidden=None))})
    yield "run_info", "nine-layers", "LIMIT", pack({"v": 1, **but(RUN, model=but(MODEL, hidden=[4] * 9))})
    yield "run_info", "model-too-large", "RANGE", pack(
        {"v": 1, **but(RUN, model=but(MODEL, hidden=[1 << 20, 1 << 20]))}
    )
    yield "run_list", "257-runs", "LIMIT", pack({"v": 1, "runs": [0] * 257})
    yield "run_list", "without-runs", "FORMAT", pack({"v": 1})
    yield "run_list", "run-without-name", "FORMAT", pack({"v": 1, "runs": [but(RUN, name=None)]})
    yield "model_message", "snapshot-size", "SHAPE", pack(but(SNAPSHOT, d=3))
    yield "model_message", "elems-0", "RANGE", pack(but(SNAPSHOT, d=0, x=b""))
    yield "model_message", "elems-large", "RANGE", pack(but(DELTA, d=(1 << 28) + 1))
    yield "model_message", "delta-to-itself", "RANGE", pack(but(DELTA, o=17))
    yield "model_message", "form-2", "RANGE", pack(but(DELTA, f=2))
    yield "enroll_request", "token-empty", "RANGE", pack(but(ENROLL, token=""))
    yield "enroll_request", "token-long", "LIMIT", pack(but(ENROLL, token="t" * 129))
    yield "enroll_request", "csr-long", "LIMIT", pack(but(ENROLL, csr=bytes(4097)))
    yield "enroll_request", "csr-text", "FORMAT", pack(but(ENROLL, csr="pem"))
    yield "enroll_answer", "chain-long", "LIMIT", pack(but(ANSWER, chain=bytes(12289)))


def main():
    for folder in ("accepted", "refused"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
        (HERE / folder).mkdir()
    for kind, case, message, data in accepted():
        (HERE / "accepted" / f"{kind}-{case}.bin").write_bytes(data)
        text = json.dumps(fields(kind, message), indent=1, ensure_ascii=True)
        (HERE / "accepted" / f"{kind}-{case}.json").write_text(text + "\n")
    for kind, case, status, data in refused():
        (HERE / "refused" / f"{kind}-{case}.FL_ERR_{status}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
