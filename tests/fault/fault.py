#!/usr/bin/env python3
"""Kills server and clients of a real run at random moments, brings old copies of the server's folder back, then checks the
books exactly. See run.sh."""
import argparse
import json
import pathlib
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from lab import TOP, Lab, wait_until  # noqa: E402

RUN = "fault"
SERVER_SHARE = 0.35  # of the kills
# The newest update that shares its round with another: alone in a round, an update's weight divides out.
ONE = "rowid = (SELECT max(rowid) FROM receipts one WHERE verdict='accepted' AND kind='train' AND sent > 0 AND EXISTS (" \
      "SELECT 1 FROM receipts other WHERE other.applied_round=one.applied_round AND other.kind='train' " \
      "AND other.client<>one.client AND other.sent > 0))"
COLUMNS = "run, epoch, client, digest, verdict, reason, kind, applied_round, weight, body_bytes, sent, train_loss, " \
          "delta_squares, residual_norm, dropped, examples, correct, loss_sum, payload_blob, payload"
TAMPERING = {
    "a lost update": f"DELETE FROM receipts WHERE {ONE}",
    "a doubled update": f"INSERT INTO receipts(seq, round, {COLUMNS}) SELECT seq + 1000000, round + 1000000, {COLUMNS} "
                        f"FROM receipts WHERE {ONE}",
    "another weight": f"UPDATE receipts SET weight = weight + 1 WHERE {ONE}",
    "an update that never entered a sum": f"UPDATE receipts SET applied_round = NULL WHERE {ONE}",
}
UNCOUNTED = {"a loss that nobody counted": "DELETE FROM losses WHERE updates > 0"}  # only where a restored server lost updates
MARK = "state.mark"  # beside the database, so that the server itself can tell that an old one is back


def write_run(folder, clients, max_late, dense_below):
    """Rounds that close without the slower half, so that updates are carried over (max_late 1), or folded back and dropped
    (max_late 0), all the time."""
    path = folder / "run.yaml"
    path.write_text(f"""name: {RUN}
seed: 3
rounds: 1000000
keep_updates: true
model: {{kind: softmax, inputs: 64, outputs: 10}}
codec: {{name: int-threshold, dense_below: {dense_below}}}
train: {{steps: 5}}
round: {{target: {clients - clients // 2}, minimum: 1, over_select: {clients // 2}, gather_ms: 100, deadline_ms: 1500, max_late: {max_late}}}
""")
    return path


class Fault:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.random = random.Random(options.seed)
        self.names = [f"client-{i}" for i in range(options.clients)]
        self.configs = {}
        self.killed = {"server": 0, "client": 0}
        self.backup = None  # (folder, version)

    def prepare(self):
        lab = self.lab
        token = lab.init(uses=self.options.clients)["token"]
        lab.start_server()
        lab.server_ready()
        lab.call(lab.server_program, "run", "create", write_run(lab.folder, self.options.clients, self.options.seed % 2, self.options.dense_below), "--dir", lab.server_folder)
        for index, name in enumerate(self.names):
            lab.enroll(name, token)
            self.configs[name] = lab.write_client(name, index, self.options.clients, RUN)
            lab.start_client(name, self.configs[name])
        wait_until(lambda: self.version() >= 2, 60, "the first versions")

    def version(self):
        try:
            return self.lab.admin("run", "status", RUN)["runs"][0]["version"]
        except (RuntimeError, ValueError):
            return -1  # the server is away

    def must_live(self, name, process):
        """Nothing may end by itself during the run: only by our kills."""
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended by itself with {process.returncode}; see {self.lab.folder / (name + '.log')}")

    def kill_one(self):
        lab = self.lab
        time.sleep(self.random.uniform(0.0, self.options.pause))
        if self.random.random() < SERVER_SHARE:
            self.must_live("server", lab.server)
            lab.server.send_signal(signal.SIGKILL)
            lab.server.wait()
            self.killed["server"] += 1
            lab.start_server()
        else:
            name = self.random.choice(self.names)
            process = lab.clients[name]
            self.must_live(name, process)
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.killed["client"] += 1
            lab.start_client(name, self.configs[name])

    def back_up(self):
        """Copies the folder of a killed server, as a snapshot of its disk would."""
        version = self.version()
        self.lab.server.send_signal(signal.SIGKILL)
        self.lab.server.wait()
        folder = self.lab.folder / "backup"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.lab.server_folder, folder, ignore=shutil.ignore_patterns("*.sock"))
        self.backup = folder, version
        self.lab.start_server()

    def restore(self):
        """The server dies, and its folder is the backup's: with the backup's mark, or with the newest one outside it."""
        lab = self.lab
        lab.server_ready()
        wait_until(lambda: self.version() >= self.backup[1] + 3, 120, "versions that the backup does not hold")
        lab.server.send_signal(signal.SIGKILL)
        lab.server.wait()
        mark = (lab.server_folder / MARK).read_bytes()
        shutil.rmtree(lab.server_folder)
        shutil.copytree(self.backup[0], lab.server_folder)
        if self.random.random() < 0.5:
            (lab.server_folder / MARK).write_bytes(mark)
        lab.start_server()

    def finish(self):
        """Lets the run go on for a while, stops it, and waits until every client has ended well."""
        lab = self.lab
        lab.server_ready()
        before = wait_until(lambda: max(self.version(), 0), 60, "the server after the kills")
        wait_until(lambda: self.version() >= before + 2, 120, "versions after the kills")
        lab.admin("run", "stop", RUN)
        for name, process in lab.clients.items():
            code = process.wait(timeout=120)
            if code != 0:
                raise RuntimeError(f"{name} ended with {code} after the run's end; see {lab.folder / (name + '.log')}")
        lab.call(lab.server_program, "run", "export", RUN, "--dir", lab.server_folder, "--to", lab.folder / "model.safetensors")
        lab.server.send_signal(signal.SIGTERM)
        if lab.server.wait(timeout=60) != 0:
            raise RuntimeError(f"the server's clean stop ended with {lab.server.returncode}")

    def audit(self, server_folder, quiet=False):
        return self.lab.audit(RUN, self.names, self.lab.folder / "model.safetensors", server_folder, quiet)

    def audit_notices(self, books):
        """The audit is worth something only if it sees a lost, a doubled and a misplaced update: plants each in a copy."""
        for name, statement in {**TAMPERING, **(UNCOUNTED if books["counted_lost"] else {})}.items():
            folder = self.lab.folder / "tampered"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.lab.server_folder, folder, ignore=shutil.ignore_patterns("*.sock"))
            database = sqlite3.connect(folder / "state.db")
            with database:
                database.execute(statement)
            database.close()
            tampered = self.audit(folder, quiet=True)
            if tampered["lost"] + tampered["double"] == 0:
                raise RuntimeError(f"the audit does not notice: {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restores", type=int, default=0, help="how often an old copy of the server's folder comes back between the kills")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--dense-below", type=int, default=0, help="11: payloads in parts, with the model's 10 biases dense")
    parser.add_argument("--pause", type=float, default=0.6, help="longest time between two kills, seconds")
    parser.add_argument("--binaries", type=pathlib.Path, default=TOP / "build" / "release" / "bin")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run")
    options = parser.parse_args()
    restores = {round(options.kills * (i + 1) / (options.restores + 1)) for i in range(options.restores)}
    backups = {max(1, done - max(1, options.kills // (2 * options.restores + 2))) for done in restores}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="residue-fault."))
    lab = Lab(folder, options.binaries)
    fault = Fault(lab, options)
    good = False
    try:
        fault.prepare()
        for done in range(1, options.kills + 1):
            fault.kill_one()
            if done in backups:
                fault.back_up()
            if done in restores:
                fault.restore()
            if done % 10 == 0 or done == options.kills:
                print(f"{done}/{options.kills} kills ({fault.killed['server']} server, {fault.killed['client']} clients), version {fault.version()}", flush=True)
        fault.finish()
        books = fault.audit(lab.server_folder)
        print(f"audit: {json.dumps(books)}")
        fault.audit_notices(books)
        restored = f" restores={options.restores} counted={books['counted_lost']}" if options.restores else ""
        print(f"kills={options.kills}{restored} lost={books['lost']} double={books['double']}")
        good = books["lost"] == 0 and books["double"] == 0
    finally:
        lab.stop_all()
        if options.keep or not good:
            print(f"files of the run: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
