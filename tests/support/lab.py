"""A server and clients as real processes on loopback, for tests that start, kill and ask them. Python standard library only."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Lab:
    """One deployment in a folder: DIR/server, DIR/client-N, logs beside them."""

    def __init__(self, folder, binaries):
        self.folder = pathlib.Path(folder)
        self.server_program = pathlib.Path(binaries) / "fl-server"
        self.client_program = pathlib.Path(binaries) / "fl-client"
        self.server_folder = self.folder / "server"
        self.port = free_port()
        self.server = None
        self.clients = {}
        self.environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        self.digits = TOP / "deploy" / "data" / "digits.csv.gz"
        self.user = None  # a number: processes that stay run as this user

    # ---- commands that end by themselves ----

    def call(self, *words, expect=0):
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, env=self.environment)
        if done.returncode != expect:
            raise RuntimeError(f"{' '.join(map(str, words))}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
        return done.stdout

    def admin(self, *words):
        """An fl-server command against the running server, its JSON parsed."""
        return json.loads(self.call(self.server_program, *words, "--dir", self.server_folder, "--json"))

    def init(self, uses, hosts="127.0.0.1"):
        """Makes the server's folder, with a first token for so many clients."""
        answer = json.loads(self.call(self.server_program, "init", self.server_folder, "--host", hosts, "--port", self.port,
                                      "--token-uses", uses, "--json"))
        self.fingerprint = answer["ca_fingerprint"]
        return answer

    def enroll(self, name, token):
        self.call(self.client_program, "enroll", "--server", f"https://127.0.0.1:{self.port}", "--token", token,
                  "--ca-fingerprint", self.fingerprint, "--state", self.folder / name, "--name", name)

    def write_client(self, name, index, clients, run, url=None, **settings):
        """A client's configuration for its part of the digits; settings come on top ({"data.alpha": 1} changes one of a group)."""
        data = {"path": self.digits, "scale": 0.0625, "partition": "dirichlet", "alpha": 0.5,
                "clients": clients, "index": index}
        top = {"run": run, "state": self.folder / name, "keep_history": "true", "poll_ms": 3000}
        for key, value in settings.items():
            if key.startswith("data."):
                data[key[5:]] = value
            else:
                top[key] = value
        lines = [f'server: {{url: "{url or f"https://127.0.0.1:{self.port}"}"}}', *(f"{k}: {v}" for k, v in top.items()),
                 "data:", *(f"  {k}: {v}" for k, v in data.items())]
        path = self.folder / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def audit(self, run, names, model, server_folder=None, quiet=False):
        """The books of tests/fault/audit.py as a dictionary, from the exported model and the clients' folders."""
        done = subprocess.run([sys.executable, TOP / "tests" / "fault" / "audit.py", "--server", server_folder or self.server_folder,
                               "--run", run, "--model", model, *[self.folder / n for n in names]],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None, text=True)
        if not done.stdout:
            raise RuntimeError("the audit itself failed")
        return json.loads(done.stdout)

    # ---- processes that stay ----

    def _spawn(self, name, words):
        other = {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen([str(w) for w in words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment, **other)

    def start_server(self):
        self.server = self._spawn("server", [self.server_program, "serve", "--config", self.server_folder / "server.yaml"])

    def server_ready(self):
        def answers():
            if self.server.poll() is not None:
                raise RuntimeError(f"the server ended with {self.server.returncode}; see {self.folder / 'server.log'}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            except OSError:
                return False
        wait_until(answers, 60, "server ready")

    def start_client(self, name, config):
        self.clients[name] = self._spawn(name, [self.client_program, "run", "--config", config])

    def stop_all(self):
        for process in [*self.clients.values(), self.server]:
            if process and process.poll() is None:
                process.kill()
        for process in [*self.clients.values(), self.server]:
            if process:
                process.wait()
