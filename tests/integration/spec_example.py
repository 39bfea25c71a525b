"""The worked example of the specification, protocol/example.md.

    spec_example.py           checks every byte and value in it, and that a server of today talks in the same way
    spec_example.py --write   puts a new exchange with a real server into it

Its fenced blocks are made and read here; the text between them is not touched.
"""
import hashlib
import io
import pathlib
import re
import subprocess
import sys
import unittest

import spec_client
import spec_dump
import spec_model
import spec_payload
from spec_payload import f32

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "protocol" / "example.md"
BLOCK = re.compile(r"```text ([a-z-]+)\n(.*?)```\n", re.S)
HEADERS = ("Content-Type", "Content-Length", "Accept-Ranges", "ETag")
HOST = "fl.example:8443"
LAMBDA, STEP = 0.25, -1
SPEC = """name: tiny
rounds: 2
model: {kind: softmax, inputs: 4, outputs: 3, seed: 7}
codec: {name: int-threshold, lambda: 0.25}
train: {steps: 4, batch: 2, learning_rate: 0.35, momentum: 0.5}
round: {target: 1}
seed: 3
"""
ROWS = [([1.0, 0.0, 0.5, 0.0], 0), ([0.0, 1.0, 0.0, 0.5], 1), ([0.5, 0.0, 1.0, 1.0], 2), ([0.0, 0.5, 0.0, 1.0], 1)]
HELD = [([1.0, 0.0, 0.0, 0.0], 0), ([0.0, 0.0, 1.0, 0.5], 2)]
MESSAGES = ("enroll", "enrolled", "run", "work", "update", "verdict", "delta")


# Making.


class Tape(spec_client.Wire):
    """Keeps (request head, request body, answer head, answer body) of everything."""

    exchanges = []

    def begin(self, method, path, body=None, **request):
        answer = super().begin(method, path, body=body, **request)
        content = answer.read()
        head = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Accept: {spec_client.MSGPACK}"]
        if body is not None:
            head += [f"Content-Type: {spec_client.MSGPACK}", f"Content-Length: {len(body)}"]
        tail = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        tail += [f"{name}: {answer.headers[name]}" for name in HEADERS if name in answer.headers]
        self.exchanges.append((head, body, tail, content))
        read = io.BytesIO(content).read
        return type("Read", (), {"status": answer.status, "headers": answer.headers, "read": staticmethod(read)})


def exchange():
    """The blocks of one enrolment and one round with a real server: name -> lines; and the bodies by name."""
    from deployment import Deployment

    server = Deployment().start()
    try:
        (server.folder / "run.yaml").write_text(SPEC)
        server.command("run", "create", server.folder / "run.yaml")
        spec_client.Wire, Tape.exchanges = Tape, []
        folder, url = str(server.folder / "c"), f"https://127.0.0.1:{server.port}"
        spec_client.enroll(folder, url, server.init["token"], server.init["ca_fingerprint"], "site-7")
        client = spec_client.Client(folder, url, "tiny", ROWS, HELD)
        start = client.values
        assert client.prepare(client.poll(60000)[1])
        p = client.outbox["p"]
        client.send()
        assert client.poll(60000)[0] == "work"
        client.fetch()
        client.wire.close()
    finally:
        server.close()
    authority, enrolled, run, work, update, _, delta = Tape.exchanges
    bodies = {"enroll": enrolled[1], "enrolled": enrolled[3], "run": run[3], "work": work[3], "update": update[1],
              "verdict": update[3], "delta": delta[3]}
    blocks = {"authority-head": authority[0] + [""] + authority[2]}
    for name, taken in (("enroll", enrolled), ("run", run), ("work", work), ("update", update), ("delta", delta)):
        blocks[f"{name}-head"] = taken[0]
        blocks[f"{name}-answer-head"] = taken[2]
    blocks |= {name: spec_dump.dump(name, bodies[name]) for name in MESSAGES}
    blocks["training"] = training_table(start, p)
    blocks["replica"] = replica_table(client.values)
    return blocks, bodies


def training_table(x, p):
    levels = spec_payload.int_threshold(p, LAMBDA, STEP)
    lines = [f"{'i':>2}{'x_0[i]':>15}{'p[i]':>15}{'level':>7}{'q[i]':>7}{'e_new[i]':>16}"]
    for i, value in enumerate(p):
        level = levels.get(i, 0)
        q = level * 2.0**STEP
        lines.append(f"{i:>2}{x[i]:>15.9g}{value:>15.9g}{level:>7}{q:>7g}{f32(value - q):>16.9g}")
    return lines


def replica_table(x):
    return [f"{i:>2}{value:>15.9g}" for i, value in enumerate(x)] + [f"digest {spec_model.digest(x).hex()}"]


def write():
    blocks, _ = exchange()
    text = BLOCK.sub(lambda m: f"```text {m[1]}\n" + "\n".join(blocks[m[1]]) + "\n```\n", DOCUMENT.read_text())
    DOCUMENT.write_text(text)


# Checking.


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.blocks = {name: lines.rstrip("\n").split("\n") for name, lines in BLOCK.findall(DOCUMENT.read_text())}
        cls.bodies = {name: spec_dump.undump(cls.blocks[name]) for name in MESSAGES}
        cls.messages = {name: spec_client.unpack(body) for name, body in cls.bodies.items()}

    def test_every_line_says_what_its_bytes_are(self):
        for name in MESSAGES:
            self.assertEqual(spec_dump.dump(name, self.bodies[name]), self.blocks[name])

    def test_equal_messages_are_equal_bytes(self):
        for name, message in self.messages.items():
            self.assertEqual(spec_client.pack_map(message), self.bodies[name], name)

    def test_heads(self):
        text = {name: version(self.messages[name]["b"]) for name in ("work", "delta")}
        for name, want in (("enroll", "POST /v1/enroll "), ("run", "GET /v1/runs/tiny "),
                           ("work", f"GET /v1/runs/tiny/work?have={text['work']}&wait="),
                           ("update", "PUT /v1/runs/tiny/updates/1 "), ("delta", f"GET /v1/runs/tiny/model?have={text['work']} ")):
            self.assertTrue(self.blocks[f"{name}-head"][0].startswith(want), name)
        for head, body in (("enroll-head", "enroll"), ("enroll-answer-head", "enrolled"), ("run-answer-head", "run"),
                           ("work-answer-head", "work"), ("update-head", "update"), ("update-answer-head", "verdict"),
                           ("delta-answer-head", "delta")):
            self.assertIn(f"Content-Length: {len(self.bodies[body])}", self.blocks[head])
        self.assertIn(f'ETag: "{text["delta"]}"', self.blocks["delta-answer-head"])
        self.assertEqual(self.blocks["update-answer-head"][0].split()[1], "201")

    def test_request_is_signed_by_its_key(self):
        done = subprocess.run(["openssl", "req", "-inform", "DER", "-noout", "-verify"], input=self.messages["enroll"]["csr"],
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_training_and_payload(self):
        x = spec_model.first_values(self.messages["run"]["model"])
        self.assertEqual(self.messages["work"]["b"], [*self.messages["run"]["version"][:2], spec_model.digest(x)])
        rows = [line.split() for line in self.blocks["training"][1:]]
        p = [f32(float(row[2])) for row in rows]
        self.assertEqual(self.blocks["training"], training_table(x, p))
        codec, update = self.messages["work"]["c"], self.messages["update"]
        levels = spec_payload.int_threshold(p, codec["lambda"], codec["step"])
        shift = spec_payload.grid_shift(codec["lambda"], codec["step"])
        self.assertEqual(update["p"], spec_payload.encode(spec_payload.INT_THRESHOLD, len(p), levels, codec["step"], shift))
        norm = sum(float(row[5]) ** 2 for row in rows) ** 0.5
        self.assertAlmostEqual(update["n"], norm, places=6)

    def test_verdict_and_delta(self):
        verdict, delta, work = self.messages["verdict"], self.messages["delta"], self.messages["work"]
        self.assertEqual(verdict["h"], hashlib.sha256(self.bodies["update"]).digest())
        self.assertEqual((verdict["k"], verdict["e"], verdict["q"]), (spec_client.ACCEPTED, work["b"][0], work["q"]))
        before = spec_model.first_values(self.messages["run"]["model"])
        after = spec_model.receive(delta, work["b"], before)
        self.assertEqual(self.blocks["replica"], replica_table(after))
        sent = spec_payload.decode(self.messages["update"]["p"]).values
        self.assertEqual(after, [f32(v - sent.get(i, 0) * 2.0**STEP) for i, v in enumerate(before)])

    def test_a_server_of_today_talks_the_same(self):
        blocks, bodies = exchange()
        self.assertEqual(blocks.keys(), self.blocks.keys())
        for name in blocks:
            if name.endswith("-head"):
                self.assertEqual([re.split(r"[:?]", line)[0] for line in blocks[name]],
                                 [re.split(r"[:?]", line)[0] for line in self.blocks[name]])
        for name, body in bodies.items():
            self.assertEqual(shape(spec_client.unpack(body)), shape(self.messages[name]), name)


def version(value):
    return spec_client.version_text(value)


def shape(value):
    """Keys in their order and types, without values."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        unittest.main()
