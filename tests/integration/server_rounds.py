"""Rounds over real HTTPS by a client written from protocol/README.md: exactly once across repeats and kill -9, the long-poll, the
delta, the operator's view and the exported model."""
import hashlib
import json
import struct
import subprocess
import unittest

import msgpack

from deployment import PROGRAM, Deployment, create_run, wait_until

ELEMS = 43


def dense(values):
    """Codec payload of kind 1 (codec/README.md)."""
    return bytes([0x11, len(values)]) + struct.pack(f"<{len(values)}f", *values)


def version_text(version):
    return f"{version[0]}.{version[1]}.{version[2].hex()}"


class Rounds(unittest.TestCase):
    def setUp(self):
        self.server = Deployment().start()
        self.addCleanup(self.server.close)
        self.client = self.server.enrolled()

    def get(self, path):
        return self.server.request("GET", path, None, self.client)

    def put(self, run, seq, body):
        return self.server.request("PUT", f"/v1/runs/{run}/updates/{seq}", body, self.client)

    def work(self, run):
        answer = self.get(f"/v1/runs/{run}/work?wait=30000")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.msgpack()

    def update(self, work, values, loss=0.5):
        return msgpack.packb({"v": 1, "r": work["r"], "b": work["b"], "w": 10, "s": 20, "l": loss, "m": [8, 6, 4.0],
                              "p": dense(values)})

    def snapshot(self, run):
        message = self.get(f"/v1/runs/{run}/model").msgpack()
        return message["b"], struct.unpack(f"<{ELEMS}f", message["x"])

    def restart(self):
        self.server.kill()
        self.server.start()

    def check_verdict(self, answer, status, kind, body, seq):
        self.assertEqual(answer.status, status, answer.body)
        verdict = answer.msgpack()
        self.assertEqual((verdict["k"], verdict["q"], verdict["h"]), (kind, seq, hashlib.sha256(body).digest()))
        return verdict

    def test_R2_R3_R9_verdicts_survive_repeats_and_kill(self):
        create_run(self.server, "dense", codec="dense", target=1)
        work = self.work("dense")
        self.assertEqual((work["r"], work["q"]), (1, 1))
        body = self.update(work, [0.25] * ELEMS)
        first = self.check_verdict(self.put("dense", 1, body), 201, 0, body, 1)
        self.assertEqual(self.check_verdict(self.put("dense", 1, body), 200, 0, body, 1), first)
        other = self.update(work, [0.5] * ELEMS)
        conflict = self.check_verdict(self.put("dense", 1, other), 412, 4, other, 1)
        self.assertEqual(conflict["n"], 2)
        self.restart()
        self.assertEqual(self.check_verdict(self.put("dense", 1, body), 200, 0, body, 1), first)
        self.check_verdict(self.put("dense", 3, body), 412, 4, body, 3)
        invalid = self.update(self.work("dense"), [0.25] * (ELEMS - 1))
        told = self.check_verdict(self.put("dense", 2, invalid), 422, 3, invalid, 2)
        self.restart()
        self.assertEqual(self.check_verdict(self.put("dense", 2, invalid), 422, 3, invalid, 2), told)

    def test_R14_asking_again_repeats_the_assignment_after_a_kill_too(self):
        create_run(self.server, "dense", codec="dense", target=1)
        first = self.work("dense")
        self.restart()
        again = self.work("dense")
        for key in ("r", "b", "q", "p", "c"):
            self.assertEqual(again[key], first[key], key)

    def test_R5_R17_R19_rounds_make_versions_and_the_export_is_the_last(self):
        create_run(self.server, "dense", codec="dense", target=1)
        follower = subprocess.Popen([PROGRAM, "run", "status", "dense", "--follow", "--json", "--dir", str(self.server.dir)],
                                    stdout=subprocess.PIPE)
        work = self.work("dense")
        base, x = self.snapshot("dense")
        self.assertEqual(base, work["b"])
        deltas = ([0.5] + [0.0] * (ELEMS - 1), [0.25] * ELEMS)
        self.assertEqual(self.put("dense", 1, self.update(work, deltas[0])).status, 201)
        work = self.work("dense")
        self.assertEqual((work["r"], work["q"], work["b"][1]), (2, 2, 1))
        answer = self.get(f"/v1/runs/dense/model?have={version_text(base)}")
        message = answer.msgpack()
        self.assertEqual((message.get("f"), message.get("o", 0), message["b"]), (1, 0, work["b"]))
        self.assertEqual(answer.headers["ETag"], f'"{version_text(work["b"])}"')
        self.restart()
        self.assertEqual(self.put("dense", 2, self.update(work, deltas[1])).status, 201)
        self.assertTrue(wait_until(lambda: self.get("/v1/runs/dense/work").status == 410))
        version, last = self.snapshot("dense")
        self.assertEqual(version[1], 2)
        for i in range(ELEMS):
            exact = x[i] - deltas[0][i] - deltas[1][i]
            self.assertEqual(last[i], struct.unpack("<f", struct.pack("<f", exact))[0])
        rounds = [json.loads(line) for line in follower.communicate(timeout=60)[0].splitlines()]
        self.assertEqual([(r["round"], r["accepted"], r["test_accuracy"]) for r in rounds], [(1, 1, 0.75), (2, 1, 0.75)])
        self.server.command("run", "export", "dense", "--to", self.server.folder / "m.npy")
        self.assertEqual((self.server.folder / "m.npy").read_bytes()[-4 * ELEMS:], struct.pack(f"<{ELEMS}f", *last))
        run = self.server.command_json("run", "status", "dense")["runs"][0]
        self.assertEqual((run["updates_accepted"], run["state"]), (2, "ended"))
        self.assertGreater(run["uplink_header_bytes"], 0)
        self.assertGreater(run["downlink_header_bytes"], 0)
        human = self.server.command("run", "status", "dense").stdout
        self.assertIn("round 2/2  1/1 updates  loss 0.5000  accuracy 0.7500", human)

    def test_calibration_sets_lambda(self):
        create_run(self.server, "grid", codec="int-threshold", target=1)
        work = self.work("grid")
        self.assertEqual((work["k"], work["r"]), (1, 0))
        body = msgpack.packb({"v": 1, "k": 1, "r": 0, "b": work["b"], "w": 10, "s": 20, "x": ELEMS * 0.25})
        self.check_verdict(self.put("grid", 1, body), 201, 0, body, 1)
        self.assertEqual(self.work("grid")["c"]["lambda"], 2.0)  # 4 x the root mean square 0.5
        lines = self.server.command("run", "status", "grid").stdout
        self.assertIn("round 0/2 (calibration)", lines)

    def test_wrong_run_epoch_and_version(self):
        create_run(self.server, "dense", codec="dense", target=1)
        work = self.work("dense")
        self.assertEqual(self.put("absent", 1, self.update(work, [0.0] * ELEMS)).status, 404)
        base = work["b"]
        for wrong in ([base[0] + 1, *base[1:]], [base[0], 7, base[2]], [base[0], base[1], bytes(16)]):
            answer = self.put("dense", 1, self.update({**work, "b": wrong}, [0.0] * ELEMS))
            self.assertIn(answer.status, (412, 422), wrong)
            if answer.status == 422:
                break
        self.assertTrue(self.server.alive())


if __name__ == "__main__":
    unittest.main()
