"""Backups restored on either side, with real processes (rules R13, R23)."""
import collections
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import TOP, Lab, wait_until  # noqa: E402

BINARIES = pathlib.Path(os.environ["FL_SERVER"]).parent
SPEC = """name: digits
rounds: {rounds}
model: {{kind: softmax, inputs: 64, outputs: 10}}
codec: {{name: int-threshold}}
round: {{target: {clients}, minimum: {clients}, gather_ms: 10, deadline_ms: 20000}}
"""


class Restore(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp")
        self.addCleanup(self.temporary.cleanup)
        self.lab = Lab(self.temporary.name, BINARIES)
        self.addCleanup(self.lab.stop_all)

    def begin(self, clients, spare, rounds):
        self.token = self.lab.init(clients + spare + 1)["token"]
        self.lab.start_server()
        self.lab.server_ready()
        for i in range(clients + spare):
            self.lab.enroll(f"c{i}", self.token)
        spec = self.lab.folder / "spec.yaml"
        spec.write_text(SPEC.format(rounds=rounds, clients=clients))
        self.lab.admin("run", "create", spec)
        for i in range(clients):
            self.lab.start_client(f"c{i}", self.config(f"c{i}", clients, i))

    def config(self, name, clients=1, index=0):
        path = self.lab.folder / f"{name}.yaml"
        path.write_text(f'server: {{url: "https://127.0.0.1:{self.lab.port}"}}\nrun: digits\nkeep_history: true\n'
                        f"state: {self.lab.folder / name}\n"
                        f"data: {{path: {TOP / 'deploy/data/digits.csv.gz'}, scale: 0.0625, partition: iid, "
                        f"clients: {clients}, index: {index}}}\n")
        return path

    def run_status(self):
        return self.lab.admin("run", "status", "digits")["runs"][0]

    def until_version(self, version):
        wait_until(lambda: self.run_status()["version"] >= version, 300, f"version {version}")

    def stop_server(self, how):
        self.lab.server.send_signal(how)
        self.lab.server.wait()

    def accepted_by_client(self, name):
        """Digests of the updates that the client's own books call accepted."""
        found = {}
        for path in (self.lab.folder / name / "runs/digits/history").glob("*.verdict"):
            facts = dict(line.split() for line in path.read_text().splitlines())
            if facts["verdict"] == "accepted":
                found[facts["digest"]] = int(facts["seq"])
        return found

    def test_R13_R23_a_restored_server_begins_an_epoch_and_counts_what_it_lost(self):
        self.begin(clients=2, spare=1, rounds=1000000)  # until it is stopped, so that no machine is too fast for the kills
        clients = {c["name"]: c["id"] for c in self.lab.admin("clients", "list")["clients"]}
        self.until_version(3)
        self.stop_server(signal.SIGTERM)
        shutil.copytree(self.lab.server_folder, self.lab.folder / "backup")
        self.lab.start_server()
        self.lab.server_ready()
        first_epoch = self.run_status()["epoch"]
        self.until_version(self.run_status()["version"] + 3)
        self.lab.admin("clients", "revoke", clients["c2"])
        self.stop_server(signal.SIGKILL)
        log = (self.lab.server_folder / "revocations.log").read_bytes()
        shutil.rmtree(self.lab.server_folder)  # the whole folder comes back, but for the list of revocations
        shutil.copytree(self.lab.folder / "backup", self.lab.server_folder)
        (self.lab.server_folder / "revocations.log").write_bytes(log)
        self.lab.start_server()
        self.lab.server_ready()
        self.until_version(self.run_status()["version"] + 3)
        self.lab.admin("run", "stop", "digits")
        for name, process in self.lab.clients.items():
            self.assertEqual(process.wait(timeout=400), 0, (self.lab.folder / f"{name}.log").read_text()[-2000:])
        status = self.run_status()
        self.assertEqual((status["state"], status["restores"]), ("ended", 1))
        self.assertGreater(status["epoch"], first_epoch)
        database = sqlite3.connect(self.lab.server_folder / "state.db")
        held = collections.defaultdict(set)
        for client, digest in database.execute("SELECT client, digest FROM receipts WHERE verdict='accepted'"):
            held[client].add(digest.hex())
        database.close()
        listed = {c["name"]: c for c in self.lab.admin("clients", "list")["clients"]}
        total = 0
        for name in ("c0", "c1"):
            accepted = self.accepted_by_client(name)
            self.assertLessEqual(held[clients[name]], accepted.keys())
            lost = [seq for digest, seq in accepted.items() if digest not in held[clients[name]]]
            self.assertGreater(len(lost), 0)
            entry, = listed[name]["lost"]
            self.assertEqual(entry["updates"], len(lost))
            self.assertTrue(entry["first_seq"] <= min(lost) and max(lost) <= entry["last_seq"])
            self.assertIn("restored from a backup", (self.lab.folder / f"{name}.log").read_text())
            total += len(lost)
        self.assertEqual(status["lost"], total)
        self.assertTrue(listed["c2"]["revoked"])
        self.lab.call(self.lab.client_program, "run", "--config", self.config("c2"), expect=5)
        self.lab.call(self.lab.client_program, "enroll", "--server", f"https://127.0.0.1:{self.lab.port}", "--token", self.token,
                      "--ca-fingerprint", self.lab.fingerprint, "--state", self.lab.folder / "late", expect=5)

        # The operator's word does the same without any client.
        self.stop_server(signal.SIGTERM)
        answer = self.lab.admin("restore")
        self.assertGreater(answer["runs"][0]["epoch"], status["epoch"])
        self.lab.start_server()
        self.lab.server_ready()
        self.assertEqual(self.run_status()["restores"], 2)

    def test_R13_an_old_copy_of_a_client_resyncs(self):
        self.begin(clients=1, spare=0, rounds=1000000)
        self.until_version(2)
        self.lab.clients["c0"].send_signal(signal.SIGTERM)
        self.lab.clients["c0"].wait()
        shutil.copytree(self.lab.folder / "c0", self.lab.folder / "old")
        at = self.run_status()["version"]
        self.lab.start_client("c0", self.config("c0"))
        self.until_version(at + 2)
        self.lab.clients["c0"].send_signal(signal.SIGTERM)
        self.lab.clients["c0"].wait()
        done = subprocess.run([self.lab.client_program, "run", "--config", self.config("old")], capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("fl-client resync", done.stderr)
        self.assertIn("enrol it as a client of its own", done.stderr)
        self.lab.call(self.lab.client_program, "resync", "--config", self.config("old"))
        manifest = (self.lab.folder / "old/runs/digits/manifest").read_text()
        self.assertIn("\ndropped 1 ", manifest)
        before = self.run_status()["updates_accepted"]
        self.lab.start_client("old", self.config("old"))
        wait_until(lambda: self.run_status()["updates_accepted"] > before, 300, "an accepted update after the resync")
        self.assertIsNone(self.lab.clients["old"].poll())

    def test_R23_a_waiting_client_is_answered_at_once_when_it_is_revoked(self):
        self.begin(clients=1, spare=1, rounds=1000000)
        self.until_version(1)
        clients = {c["name"]: c["id"] for c in self.lab.admin("clients", "list")["clients"]}
        waiting = subprocess.Popen([self.lab.client_program, "run", "--config", self.config("c1")], stderr=subprocess.PIPE, text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(waiting.stderr))
        reader.start()
        try:
            wait_until(lambda: any("started" in line for line in lines), 120, "the client")
            time.sleep(1)
            self.lab.admin("clients", "revoke", clients["c1"])
            self.assertEqual(waiting.wait(timeout=120), 5, "".join(lines))
        finally:
            waiting.kill()
            waiting.wait()
            reader.join()
            waiting.stderr.close()


if __name__ == "__main__":
    unittest.main()
