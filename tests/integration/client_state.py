"""One fl-client on its state folder, as real processes (rules R1, R2)."""
import os
import pathlib
import shutil
import subprocess
import unittest

from deployment import Deployment, run, wait_until

CLIENT = os.environ["FL_CLIENT"]
DIGITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "data" / "digits.csv.gz"
SPEC = """name: {name}
rounds: {rounds}
model: {{kind: softmax, inputs: 64, outputs: 10}}
codec: {{name: {codec}}}
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

    def config(self, state, name="digits"):
        path = self.server.folder / f"{state}.yaml"
        path.write_text(f'server: {{url: "https://127.0.0.1:{self.server.port}"}}\nrun: {name}\n'
                        f"state: {self.server.folder / state}\ndata: {{path: {DIGITS}, scale: 0.0625}}\n")
        return path

    def create(self, rounds, name="digits", codec="int-threshold"):
        spec = self.server.folder / "spec.yaml"
        spec.write_text(SPEC.format(name=name, rounds=rounds, codec=codec))
        self.server.command("run", "create", spec)

    def version(self, name):
        return self.server.command_json("run", "status", name)["runs"][0]["version"]

    def model(self, name):
        """The values of the last version."""
        path = self.server.folder / f"{name}.safetensors"
        self.server.command("run", "export", name, "--to", path)
        data = path.read_bytes()
        return data[8 + int.from_bytes(data[:8], "little"):]

    def run_killing(self, name):
        """Kills the client again and again until the run has ended; returns how often."""
        kills = 0
        while True:
            client = subprocess.Popen([CLIENT, "run", "--config", str(self.config("c", name))], stderr=subprocess.DEVNULL)
            before = self.version(name)
            self.assertTrue(wait_until(lambda: client.poll() is not None or self.version(name) > before + kills % 3))
            if client.poll() is not None:
                self.assertEqual(client.returncode, 0)
                return kills
            client.kill()
            client.wait()
            kills += 1

    def test_R7_a_killed_client_makes_the_model_that_it_would_have_made(self):
        for codec in ("power-sgd", "sidco-exponential", "dqsgd"):  # which keep something between updates
            with self.subTest(codec=codec):
                whole, killed = f"{codec}-whole", f"{codec}-killed"
                for name in (whole, killed):
                    self.create(30, name, codec)
                run(CLIENT, "run", "--config", self.config("c", whole))
                self.assertTrue(list((self.server.folder / "c" / "runs" / whole).glob("codec-state.*")))
                self.assertGreater(self.run_killing(killed), 3)
                self.assertEqual(self.model(killed), self.model(whole))

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
