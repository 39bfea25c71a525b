"""Clients written from the specification alone (spec_client.py) against a real fl-server, beside a real fl-client."""
import concurrent.futures
import fractions
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import unittest

import spec_client
import spec_model
import spec_payload
from deployment import Deployment, run, wait_until

FL_CLIENT = os.environ["FL_CLIENT"]
INPUTS, OUTPUTS = 16, 4
SPEC = """name: {name}
rounds: {rounds}
model: {{kind: softmax, inputs: 16, outputs: 4, seed: 5}}
codec: {{name: int-threshold, lambda: {lam}, dense_below: {dense_below}}}
train: {{steps: 6, batch: 8, learning_rate: 0.5}}
round: {{target: {target}, minimum: {target}, over_select: {over}, gather_ms: 600000, max_late: 0}}
"""


def examples(seed, count):
    """Rows of (features, label): four features tell the class, one more is noise; the same value in CSV and here."""
    rng, rows = random.Random(seed), []
    for _ in range(count):
        label = rng.randrange(OUTPUTS)
        features = [0.0] * INPUTS
        for j in range(4):
            features[4 * label + j] = rng.choice((0.0, 0.5, 1.0))
        features[rng.randrange(INPUTS)] += 0.5
        rows.append((features, label))
    return rows


class Crash(Exception):
    pass


class Tried(spec_client.Client):
    """The client, with what tests do to it: answers and downloads get lost, and the process dies."""

    lose = ()  # for update SEQ, "answer": it comes and is not looked at; "connection": closed behind the request
    crash_at = None  # dies between the sending of update SEQ and its answer
    cut = None  # a download breaks after so many bytes, once
    forms = ()

    def send_unread(self, body, read_head):
        self.wire.submit("PUT", self.path(f"/updates/{self.outbox['seq']}"), body=body)
        if read_head:
            self.wire.connection.getresponse()
        self.wire.close()

    def put(self, body):
        seq = self.outbox["seq"]
        if self.crash_at == seq:
            self.send_unread(body, read_head=True)
            raise Crash
        how = dict(self.lose).get(seq)
        if not how:
            return super().put(body)
        self.send_unread(body, read_head=how == "answer")
        first, second = super().put(body), super().put(body)
        assert how != "answer" or first[0] == 200, "the verdict was there before its answer"
        assert second[0] == 200 and second[1] == first[1], "the same bytes get the same verdict"
        return second

    def read_body(self, answer, into):
        if self.cut and answer.headers["Accept-Ranges"] == "bytes":
            into += answer.read(self.cut)
            self.cut = None
            raise ConnectionError("cut by the test")
        if answer.status == 206:
            self.resumed_at = len(into)
        super().read_body(answer, into)

    def received(self, message):
        self.forms = (*self.forms, message.get("f", 0))


def revived(client):
    """The client as a new process finds it."""
    client.wire.close()
    again = type(client)(client.folder, f"https://127.0.0.1:{client.wire.port}", client.run, client.rows, client.held)
    again.history, again.verdicts, again.forms = client.history, client.verdicts, client.forms
    return again


def take_part(client):
    try:
        client.take_part()
    except Crash:
        client = revived(client)
        assert client.outbox, "the outbox was durable before it was sent"
        client.take_part()
    return client


class FromTheSpec(unittest.TestCase):
    def setUp(self):
        self.server = Deployment().start()
        self.addCleanup(self.server.close)
        self.url = f"https://127.0.0.1:{self.server.port}"
        self.fingerprint = self.server.init["ca_fingerprint"]

    def create(self, dense_below=0, **spec):
        path = self.server.folder / "run.yaml"
        path.write_text(SPEC.format(dense_below=dense_below, **spec))
        self.server.command("run", "create", path)

    def client(self, name, run_name):
        folder = str(self.server.folder / name)
        spec_client.enroll(folder, self.url, self.server.init["token"], self.fingerprint, name)
        client = Tried(folder, self.url, run_name, examples(name, 40), examples(name + "-held", 10))
        self.addCleanup(client.wire.close)
        return client

    def real_client(self, run_name):
        data, state = self.server.folder / "real.csv", self.server.folder / "real"
        data.write_text("".join(",".join(map(str, f)) + f",{label}\n" for f, label in examples("real", 40)))
        run(FL_CLIENT, "enroll", "--server", self.url, "--token", self.server.init["token"], "--ca-fingerprint", self.fingerprint,
            "--state", state)
        return subprocess.Popen([FL_CLIENT, "run", "--server", self.url, "--run", run_name, "--state", state, "--data", data,
                                 "--data.classes", str(OUTPUTS)], stdout=subprocess.DEVNULL)

    def check_law(self, client):
        """R25 in rationals: sum(p - e) = sum of q accepted + dropped + e_T - e_0."""
        residual = [0.0] * len(client.residual)
        for p, e_old, q, fate in client.history:
            self.assertEqual(residual, e_old, "nothing but verdicts changes the residual")
            if fate == "accepted":
                residual = [float(fractions.Fraction(a) - fractions.Fraction(b)) for a, b in zip(p, q)]
            elif fate == "folded":
                residual = p
        self.assertEqual(residual, client.residual)
        for i, last in enumerate(client.residual):
            left, right = fractions.Fraction(0), fractions.Fraction(last)
            for p, e_old, q, fate in client.history:
                trained = fractions.Fraction(p[i]) - fractions.Fraction(e_old[i])
                left += trained
                right += {"accepted": fractions.Fraction(q[i]), "folded": 0, "dropped": trained}[fate]
            self.assertEqual(left, right, f"coordinate {i}")

    def export(self, name):
        path = self.server.folder / f"{name}.npy"
        self.server.command("run", "export", name, "--to", path)
        return path.read_bytes()

    def test_R19_R25_a_run_beside_a_real_client(self):
        self.create(name="mixed", rounds=5, lam=0, target=3, over=0)
        a, b = self.client("a", "mixed"), self.client("b", "mixed")
        b.held_version, b.values = None, None
        a.lose, a.crash_at = ((2, "answer"), (3, "connection")), 5
        b.cut, b.lose = 100, ((1, "answer"),)
        runs = spec_client.unpack(a.wire.ask("GET", "/v1/runs")[2])["runs"]
        self.assertEqual([(r["name"], r["state"], r["round"]) for r in runs], [("mixed", "active", 0)])
        real = self.real_client("mixed")
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                a, b = pool.map(take_part, (a, b))
            self.assertEqual(real.wait(timeout=60), 0)
        finally:
            real.kill()
            real.wait()
        self.addCleanup(a.wire.close)
        self.assertEqual(b.resumed_at, 100)
        self.assertEqual((a.forms[0], b.forms[0]), (1, 0), "x_0 by the seeded rule; x_0 as a snapshot")
        self.assertIn(1, b.forms)
        for client in (a, b):
            self.assertEqual([(v["q"], v["k"], v["r"]) for v in client.verdicts], [(n + 1, 0, n) for n in range(6)])
            self.check_law(client)
            self.assertTrue(self.export("mixed").endswith(spec_model.pack(client.values)), "export and replica, bit for bit")
        status = self.server.command_json("run", "status", "mixed")
        self.assertEqual(status["runs"][0]["updates_accepted"], 18)
        self.assertTrue(status["runs"][0]["digest"] == a.held_version[2].hex() == spec_model.digest(b.values).hex())
        last = status["rounds"][-1]
        self.assertEqual(last["examples"], 28, "ten of each client here, eight that fl-client holds out")
        self.assertGreater(last["correct"], status["rounds"][1]["correct"])

    def test_R25_in_parts_beside_a_real_client(self):
        self.create(name="parts", rounds=4, lam=0, target=3, over=0, dense_below=5)  # tensors of 64 and 4
        a, b = self.client("a", "parts"), self.client("b", "parts")
        a.lose = ((2, "answer"), (3, "connection"))
        real = self.real_client("parts")
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                a, b = pool.map(take_part, (a, b))
            self.assertEqual(real.wait(timeout=60), 0)
        finally:
            real.kill()
            real.wait()
        info = spec_client.unpack(a.wire.ask("GET", a.path())[2])
        self.assertEqual({key: info["codec"][key] for key in ("name", "part", "dense_below")},
                         {"name": "parts", "part": "int-threshold", "dense_below": 5})
        for client in (a, b):
            self.check_law(client)
            self.assertEqual(client.residual[64:], [0.0] * 4, "the biases are sent whole")
            self.assertTrue(any(client.residual[:64]))
            self.assertTrue(self.export("parts").endswith(spec_model.pack(client.values)))
        self.assertEqual(self.server.command_json("run", "status", "parts")["runs"][0]["updates_accepted"], 15)

    def test_R20_R21_no_token_for_a_stranger_and_no_use_burnt(self):
        token = self.server.command_json("token", "create")["token"]
        folder = str(self.server.folder / "x")
        wrong = hashlib.sha256(b"another authority").hexdigest()
        with self.assertRaisesRegex(spec_client.Refused, "fingerprint"):
            spec_client.enroll(folder, self.url, token, wrong)
        first = spec_client.enroll(folder, self.url, token, self.fingerprint)
        self.assertEqual(first, spec_client.enroll(folder, self.url, token, self.fingerprint), "the same key, the same token")
        with self.assertRaisesRegex(spec_client.Refused, "403"):
            spec_client.enroll(folder + "2", self.url, token, self.fingerprint)

    def test_R22_renewal_keeps_the_identity(self):
        folder = str(self.server.folder / "x")
        client = spec_client.enroll(folder, self.url, self.server.init["token"], self.fingerprint)
        before = pathlib.Path(folder, "chain.pem").read_bytes()
        self.assertEqual(spec_client.renew(folder, self.url), client)
        self.assertNotEqual(pathlib.Path(folder, "chain.pem").read_bytes(), before)
        self.assertEqual(spec_client.renew(folder, self.url), client, "with the new one")

    def both_work(self, *clients):
        """Both have work of the same round and have stored their updates."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda c: c.poll(60000), clients))
        self.assertEqual([what for what, _ in answers], ["work"] * len(clients))
        for client, (_, work) in zip(clients, answers):
            self.assertTrue(client.prepare(work))

    def accepted_and_closed(self, client):
        self.assertEqual(client.send()["k"], spec_client.ACCEPTED)
        number = client.held_version[1]
        self.assertTrue(wait_until(lambda: spec_client.unpack(client.wire.ask("GET", client.path())[2])["version"][1] > number))

    def test_R3_R6_R25_late_invalid_ended_conflict(self):
        self.create(name="hard", rounds=4, lam=0.125, target=1, over=1)
        a, b = self.client("a", "hard"), self.client("b", "hard")
        self.both_work(a, b)
        self.accepted_and_closed(b)
        shutil.copytree(a.folder, a.folder + "-copy")
        self.assertEqual(a.send()["k"], spec_client.LATE)

        self.both_work(a, b)
        levels = spec_payload.decode(spec_client.unpack(a.outbox["body"])["p"]).values
        fields = spec_client.unpack(a.outbox["body"])
        fields["p"] = spec_payload.encode(spec_payload.INT_THRESHOLD, len(a.residual), levels, 5, 0)
        a.outbox["body"] = spec_client.pack_map(fields)
        self.assertEqual(a.send()["k"], spec_client.INVALID)
        self.accepted_and_closed(b)

        self.both_work(a, b)
        self.assertEqual(spec_client.unpack(a.outbox["body"])["d"], 1)
        self.accepted_and_closed(a)
        with self.assertRaises(spec_client.Conflict):
            copy = Tried(a.folder + "-copy", self.url, "hard", a.rows)
            self.addCleanup(copy.wire.close)
            copy.send()
        self.assertEqual(b.send()["k"], spec_client.LATE)

        self.both_work(a, b)
        self.accepted_and_closed(b)
        self.assertEqual(a.send()["k"], spec_client.ENDED)
        self.assertEqual([fate for *_, fate in a.history], ["folded", "dropped", "accepted", "folded"])
        self.assertEqual([fate for *_, fate in b.history], ["accepted", "accepted", "folded", "accepted"])
        for client in (a, b):
            client.take_part()
            self.check_law(client)
            self.assertTrue(self.export("hard").endswith(spec_model.pack(client.values)))


if __name__ == "__main__":
    unittest.main()
