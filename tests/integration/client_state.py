"""One fl-client on its state folder, as real processes (rules R1, R2)."""
import os
import pathlib
import shutil
import subprocess
import unittest

from deployment import Deployment, run, wait_until

CLIENT = os.environ["FL_CLIENT"]
DIGITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "data" / "digits.csv.gz"
SPEC = """name: digits
rounds: {rounds}
model: {{kind: softmax, inputs: 64, outputs: 10}}
codec: {{name: int-threshold}}
round: {{target: 1, gather_ms: 10}}
"""


class State(unittest.TestCase):
    def setUp(self):
        self.server = Deployment().start()
        self.addCleanup(self.server.close)
        token = self.server.folder / "token"
        token.write_text(self.server.init["token"] + "\n")
        run(CLIENT, "enroll", "--server", f"https://127.0.0.1:{self.server.port}", "--token-file", token,
            "--ca-fingerprint", self.server.init["ca_fingerprint"], "--state", self.server.folder / "c")

    def config(self, state):
        path = self.server.folder / f"{state}.yaml"
        path.write_text(f'server: {{url: "https://127.0.0.1:{self.server.port}"}}\nrun: digits\n'
                        f"state: {self.server.folder / state}\ndata: {{path: {DIGITS}, scale: 0.0625}}\n")
        return path

    def create(self, rounds):
        spec = self.server.folder / "spec.yaml"
        spec.write_text(SPEC.format(rounds=rounds))
        self.server.command("run", "create", spec)

    def test_R1_one_client_per_folder(self):
        log = self.server.folder / "client.log"
        with open(log, "wb") as errors:  # its run is missing, so it asks again and again
            first = subprocess.Popen([CLIENT, "run", "--config", str(self.config("c"))], stdout=errors, stderr=errors)
        try:
            self.assertTrue(wait_until(lambda: "asking for" in log.read_text()))
            self.assertIn("another process", run(CLIENT, "run", "--config", self.config("c"), expect=6).stderr)
            self.assertIsNone(first.poll())
        finally:
            first.kill()
            first.wait()
        self.create(1)
        run(CLIENT, "run", "--config", self.config("c"))  # a killed process holds nothing

    def test_R1_R2_an_old_copy_of_the_folder_stops_and_stays_as_it_is(self):
        shutil.copytree(self.server.folder / "c", self.server.folder / "copy")
        self.create(1000000)
        log = self.server.folder / "client.log"
        with open(log, "wb") as errors:
            first = subprocess.Popen([CLIENT, "run", "--config", str(self.config("c"))], stdout=errors, stderr=errors)
        try:
            self.assertTrue(wait_until(lambda: self.server.command_json("run", "status", "digits")["runs"][0]["version"] > 1))
        finally:
            first.terminate()
            first.wait()
        accepted = self.server.command_json("run", "status", "digits")["runs"][0]["updates_accepted"]
        done = run(CLIENT, "run", "--config", self.config("copy"), expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("out of step", done.stderr)
        self.assertEqual(self.server.command_json("run", "status", "digits")["runs"][0]["updates_accepted"], accepted)


if __name__ == "__main__":
    unittest.main()
