"""A client that is away for a month, while the run goes on without it (rules R6, R13, R19, R22, R25)."""
import http.client
import os
import pathlib
import re
import signal
import sqlite3
import ssl
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import Lab, wait_until  # noqa: E402

BINARIES = pathlib.Path(os.environ["FL_SERVER"]).parent
MONTH_S = 31 * 86400
LIFE = "20d"  # of clients' certificates
VERSIONS = 200  # that go by meanwhile
STARTS = 20  # clients that ask from other versions first: more than FL_PUBLISHED_DELTAS
SPEC = """name: digits
rounds: 1000000
keep_updates: true
model: {kind: softmax, inputs: 64, outputs: 10}
codec: {name: int-threshold}
train: {steps: 5}
round: {target: 2, minimum: 1, gather_ms: 10, deadline_ms: 2000, max_late: 2}
"""


class MonthAway(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp")
        self.addCleanup(temporary.cleanup)
        self.lab = Lab(temporary.name, BINARIES)
        self.addCleanup(self.lab.stop_all)
        token = self.lab.init(3)["token"]
        config = self.lab.server_folder / "server.yaml"
        text = config.read_text()
        self.assertIn('client_life: "365d"', text)
        config.write_text(text.replace('client_life: "365d"', f'client_life: "{LIFE}"'))
        self.start_server()
        spec = self.lab.folder / "spec.yaml"
        spec.write_text(SPEC)
        self.lab.admin("run", "create", spec)
        self.configs = {}
        for index, name in enumerate(("c0", "c1", "away")):
            self.lab.enroll(name, token)
            self.configs[name] = self.lab.write_client(name, index, 3, "digits", log="{level: debug}")

    def start_server(self):
        self.lab.start_server()
        self.lab.server_ready()

    def start(self, *names):
        for name in names:
            self.lab.start_client(name, self.configs[name])

    def end(self, process, how):
        process.send_signal(how)
        return process.wait(timeout=120)

    def log(self, name):
        return (self.lab.folder / f"{name}.log").read_text()

    def version(self):
        return self.lab.admin("run", "status", "digits")["runs"][0]["version"]

    def until_version(self, version):
        wait_until(lambda: self.version() >= version, 300, f"version {version}")

    def rows(self, sql, *values):
        with sqlite3.connect(f"file:{self.lab.server_folder / 'state.db'}?mode=ro", uri=True) as database:
            return database.execute(sql, values).fetchall()

    def manifest(self, key):
        found = re.search(rf"^{key} (.*)$", (self.lab.folder / "away/runs/digits/manifest").read_text(), re.M)
        return found and found.group(1)

    def receipts(self, seq):
        return self.rows("SELECT verdict FROM receipts JOIN clients ON clients.id=receipts.client WHERE name='away' AND seq=?", seq)

    def leave(self):
        """Kills the client when an update waits in its outbox that the server has not judged; the number of that update."""
        for _ in range(100):
            wait_until(lambda: self.manifest("outbox"), 120, "an update in the outbox")
            self.lab.server.send_signal(signal.SIGSTOP)
            self.end(self.lab.clients["away"], signal.SIGKILL)
            self.end(self.lab.server, signal.SIGKILL)
            self.lab.start_server()
            self.lab.server_ready()
            seq = int(self.manifest("next-seq"))
            if self.manifest("outbox") and not self.receipts(seq):
                return seq
            self.start("away")  # its verdict was faster
            wait_until(lambda: int(self.manifest("next-seq")) > seq or not self.manifest("outbox"), 120, "that verdict")
        self.fail("the client never died between its outbox and a verdict")

    def ask_from_many_versions(self):
        """Clients with many versions ask for the newest, all later than the one that the client away has."""
        self.lab.enroll("others", self.lab.admin("token", "create")["token"])
        context = ssl.create_default_context(cafile=str(self.lab.folder / "others/root.pem"))
        context.load_cert_chain(self.lab.folder / "others/client.pem", self.lab.folder / "others/key.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.lab.port, context=context, timeout=60)
        epoch = self.lab.admin("run", "status", "digits")["runs"][0]["epoch"]
        newest = self.version()
        for number, digest in self.rows("SELECT number, digest FROM versions WHERE number BETWEEN ? AND ?", newest - STARTS, newest - 1):
            connection.request("GET", f"/v1/runs/digits/model?have={epoch}.{number}.{digest.hex()}")
            answer = connection.getresponse()
            self.assertEqual((answer.status, len(answer.read()) > 0), (200, True))
        connection.close()

    def test_R6_R13_R19_R22_R25_a_client_away_for_a_month(self):
        self.start("c0", "c1", "away")
        wait_until(lambda: self.log("away").count("outcome=committed") >= 3, 120, "accepted updates")
        seq = self.leave()
        left = self.log("away")
        held = int(self.manifest("version").split(".")[1])
        certificate = (self.lab.folder / "away/client.pem").read_bytes()
        self.until_version(held + VERSIONS)
        for name in ("c0", "c1"):
            self.assertEqual(self.end(self.lab.clients[name], signal.SIGTERM), 130)
        self.assertEqual(self.end(self.lab.server, signal.SIGTERM), 0)
        self.lab.admin("restore")  # the operator begins a new epoch, too

        options = os.environ.get("ASAN_OPTIONS", "")
        self.lab.environment.update(LD_PRELOAD=os.environ["FL_CLOCK_SHIM"], FL_CLOCK_SHIFT_S=str(MONTH_S),
                                    ASAN_OPTIONS=f"{options}:verify_asan_link_order=0".lstrip(":"))
        self.start_server()
        self.ask_from_many_versions()
        at = self.version()
        self.start("away")
        wait_until(lambda: self.log("away")[len(left):].count("outcome=committed") >= 1, 120, "an accepted update after the month")
        self.start("c0", "c1")
        self.until_version(at + 10)
        wait_until(lambda: self.log("away")[len(left):].count("outcome=committed") >= 3, 120, "more of them")
        self.lab.admin("run", "stop", "digits")
        for name, process in self.lab.clients.items():
            self.assertEqual(process.wait(timeout=120), 0, self.log(name)[-2000:])

        back = self.log("away")[len(left):]
        self.assertLess(back.index("the certificate is renewed"), back.index("going on in the new epoch"))
        self.assertNotEqual((self.lab.folder / "away/client.pem").read_bytes(), certificate)
        self.assertEqual(self.receipts(seq), [("late",)])
        self.assertEqual(re.findall(rf"seq={seq} verdict=(\w+) outcome=(\w+)", back), [("late", "folded")])
        first = re.search(r"version=(\d+) form=(\w+) .*: model received", back)
        self.assertGreaterEqual(int(first.group(1)), held + VERSIONS)
        model = self.lab.folder / "digits.safetensors"
        self.lab.call(self.lab.server_program, "run", "export", "digits", "--dir", self.lab.server_folder, "--to", model)
        books = self.lab.audit("digits", ["c0", "c1", "away"], model)
        self.assertEqual((books["lost"], books["double"], books["counted_lost"]), (0, 0, 0))
        self.assertGreaterEqual(books["late"], 1)


if __name__ == "__main__":
    unittest.main()
