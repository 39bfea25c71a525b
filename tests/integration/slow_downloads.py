"""Slow downloads of snapshots, which newer versions overtake: real clients, a real server, and a slow link (rule R16)."""
import os
import pathlib
import re
import subprocess
import unittest

from deployment import Deployment, run, wait_until
from slow_link import SlowLink

CLIENT = os.environ["FL_CLIENT"]
DIGITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "data" / "digits.csv.gz"
HIDDEN = 2000  # 150,010 parameters: a snapshot of 600 KB
SNAPSHOT_BYTES = 4 * (64 * HIDDEN + HIDDEN + 10 * HIDDEN + 10)
SPEC = """name: {name}
rounds: 1000000
model: {{kind: mlp, inputs: 64, hidden: [{hidden}], outputs: 10, seed: {seed}}}
codec: {{name: int-threshold, lambda: 0.0009765625}}
train: {{steps: 2, batch: 8}}
round: {{target: 1, over_select: 1, gather_ms: 10, deadline_ms: 600000}}
"""


class Snapshots(unittest.TestCase):
    def setUp(self):
        self.server = Deployment()
        self.addCleanup(self.server.close)
        self.server.start()
        self.processes = []
        self.addCleanup(self.end_clients)

    def end_clients(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def status(self):
        return self.server.command_json("run", "status", "slow")["runs"][0]

    def create(self):
        """A run whose first model is another run's, so that nobody can make it from its seed."""
        for name, seed in (("other", 1), ("slow", 2)):
            spec = self.server.folder / f"{name}.yaml"
            spec.write_text(SPEC.format(name=name, seed=seed, hidden=HIDDEN))
        model = self.server.folder / "first.safetensors"
        self.server.command("run", "create", self.server.folder / "other.yaml")
        self.server.command("run", "export", "other", "--to", model)
        self.server.command("run", "create", self.server.folder / "slow.yaml", "--initial-model", model)

    def start_client(self, name, port):
        token = self.server.folder / "token"
        token.write_text(self.server.init["token"] + "\n")
        state = self.server.folder / name
        run(CLIENT, "enroll", "--server", f"https://127.0.0.1:{self.server.port}", "--token-file", token,
            "--ca-fingerprint", self.server.init["ca_fingerprint"], "--state", state, "--name", name)
        config = self.server.folder / f"{name}.yaml"
        config.write_text(f'server: {{url: "https://127.0.0.1:{port}"}}\nrun: slow\nstate: {state}\n'
                          f"data: {{path: {DIGITS}, scale: 0.0625}}\nlog: {{level: debug}}\n")
        log = self.server.folder / f"{name}.log"
        with open(log, "wb") as output:
            self.processes.append(subprocess.Popen([CLIENT, "run", "--config", str(config)], stdout=output, stderr=output))
        return log

    def models(self, log):
        """What a client was given, in order: (version, form)."""
        return [(int(version), form) for version, form in re.findall(r"version=(\d+) form=(\w+) bytes=\d+: model received", log.read_text())]

    def test_R16_a_slow_download_ends_although_versions_overtake_it(self):
        self.create()
        link = SlowLink(self.server.port, rate=300_000, cut=200_000)
        self.addCleanup(link.close)
        fast = self.start_client("fast", self.server.port)
        self.assertTrue(wait_until(lambda: self.status()["version"] > 2))
        before = link.down
        slow = self.start_client("slow", link.port)
        self.assertTrue(wait_until(lambda: self.models(slow), seconds=120))
        newest, received = self.status()["version"], link.down - before
        version, form = self.models(slow)[0]
        self.assertEqual(form, "snapshot")
        self.assertGreater(newest, version + 2, "no newer version came meanwhile: nothing was shown")
        self.assertGreater(link.connections, 3, "the download was in one piece: nothing was shown")
        self.assertLess(received, 2 * SNAPSHOT_BYTES, "it was begun again and again")
        link.cut = 1 << 40
        self.assertTrue(wait_until(lambda: len(self.models(slow)) > 1, seconds=120))
        later, form = self.models(slow)[1]
        self.assertEqual(form, "delta")
        self.assertGreater(later, version)
        self.assertNotIn("does not give this version", slow.read_text() + fast.read_text())

    def test_R16_a_slow_download_goes_on_after_the_server_was_killed(self):
        self.create()
        link = SlowLink(self.server.port, rate=200_000, cut=1 << 40)
        self.addCleanup(link.close)
        self.start_client("fast", self.server.port)
        self.assertTrue(wait_until(lambda: self.status()["version"] > 2))
        slow = self.start_client("slow", link.port)
        self.assertTrue(wait_until(lambda: link.down > SNAPSHOT_BYTES // 2, seconds=60))
        self.assertEqual(self.models(slow), [])
        before = self.status()["version"]
        self.server.kill()
        self.server.start("--listen.port", str(self.server.port))
        self.assertTrue(wait_until(lambda: self.models(slow), seconds=120))
        version, form = self.models(slow)[0]
        self.assertEqual(form, "snapshot")
        self.assertLessEqual(version, before)
        self.assertLess(link.down, 1.5 * SNAPSHOT_BYTES)


if __name__ == "__main__":
    unittest.main()
