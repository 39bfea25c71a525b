"""A deployment to maltreat: a run of a few clients over HTTPS, with what the conditions ask of it again and again."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from condition import Failed, Skipped, must
from lab import Lab, wait_until

RUN = "field"
SECONDS = 120  # the longest that anything may take on a busy machine
SPEC = {"rounds": 1000000, "seed": 5, "keep_updates": "true", "model": "{kind: softmax, inputs: 64, outputs: 10}",
        "codec": "{name: int-threshold}", "train": "{steps: 5}"}
NOBODY = 65534


class Site(Lab):
    def __init__(self, folder, binaries):
        super().__init__(folder, binaries)
        self.names, self.configs, self.mounts, self.ours, self.closers = [], {}, [], set(), []

    # ---- a run ----

    def deploy(self, clients=2, start=True, hosts="127.0.0.1", **spec):
        """Server, run and enrolled clients; each round needs all of them, so that a seed gives the same bits every time."""
        token = self.init(uses=clients + 8, hosts=hosts)["token"]
        self.start_server()
        self.server_ready()
        self.create_run(clients, **spec)
        for index in range(clients):
            self.add_client(f"client-{index}", token, index, clients)
        if start:
            self.start_clients()
        return token

    def create_run(self, clients, round_settings=None, **spec):
        settings = SPEC | spec
        rounds = {"target": clients, "minimum": clients, "gather_ms": 100, "deadline_ms": 600000} | (round_settings or {})
        path = self.folder / "run.yaml"
        path.write_text(f"name: {RUN}\n" + "".join(f"{key}: {value}\n" for key, value in settings.items()) +
                        "round: {" + ", ".join(f"{key}: {value}" for key, value in rounds.items()) + "}\n")
        self.call(self.server_program, "run", "create", path, "--dir", self.server_folder)

    def add_client(self, name, token, index, clients, **settings):
        self.enroll(name, token)
        self.names.append(name)
        self.configs[name] = self.write_client(name, index, clients, RUN, **settings)

    def start_clients(self):
        for name in self.names:
            self.start_client(name, self.configs[name])

    def restart_client(self, name, url=None):
        """Ends the client as an operator does and starts it again, perhaps with another address of the server."""
        self.stop_client(name)
        if url:
            self.point_to(name, url)
        self.start_client(name, self.configs[name])

    def stop_client(self, name):
        self.clients[name].terminate()
        self.must_end(name, 130)

    def point_to(self, name, url):
        """Another address of the server in the client's configuration."""
        text = self.configs[name].read_text()
        self.configs[name].write_text(re.sub(r'url: "[^"]*"', f'url: "{url}"', text))

    def has_outbox(self, name):
        """Whether the client's update is on disk and has no verdict yet, as its manifest says."""
        manifest = self.folder / name / "runs" / RUN / "manifest"
        return manifest.exists() and b"\noutbox " in manifest.read_bytes()

    def receipts(self):
        """How many verdicts the server has given, as its database says."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server_folder / 'state.db'}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM receipts").fetchone()[0]

    def version(self):
        try:
            return self.admin("run", "status", RUN)["runs"][0]["version"]
        except (RuntimeError, ValueError):
            return -1  # the server is away

    def wait_version(self, number, seconds=SECONDS):
        wait_until(lambda: self.version() >= number, seconds, f"version {number}")

    def goes_on(self, rounds=2):
        """The run makes further versions."""
        before = max(wait_until(lambda: self.version() + 1, SECONDS, "an answer of the server") - 1, 0)
        self.wait_version(before + rounds)

    def end_run(self):
        """Stops the run, waits until all clients have ended well, exports the model, stops the server."""
        if self.admin("run", "status", RUN)["runs"][0]["state"] != "ended":
            self.admin("run", "stop", RUN)
        for name in self.names:
            self.must_end(name, 0)
        self.call(self.server_program, "run", "export", RUN, "--dir", self.server_folder, "--to", self.model)
        self.server.send_signal(signal.SIGTERM)
        must(self.server.wait(timeout=SECONDS) == 0, f"the server's clean stop ended with {self.server.returncode}")

    @property
    def model(self):
        return self.folder / "model.safetensors"

    def books(self):
        """The audit, which must find nothing lost and nothing doubled; a few words for the line."""
        books = self.audit(RUN, self.names, self.model)
        must(books["lost"] == 0 and books["double"] == 0, f"the audit: {json.dumps(books)}")
        return f"audit: {books['applied']} updates applied, lost 0, double 0"

    def finish(self):
        self.end_run()
        return self.books()

    # ---- processes ----

    def open_programs(self):
        """Copies of programs and data that any user can reach, wherever the originals lie."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        self.server_program, self.client_program, self.digits = (
            pathlib.Path(shutil.copy2(path, folder)) for path in (self.server_program, self.client_program, self.digits))
        for path in (self.folder, folder, *folder.iterdir()):
            path.chmod(0o755)

    def kill(self, name):
        process = self.server if name == "server" else self.clients[name]
        process.kill()
        process.wait()
        self.ours.add(process.pid)

    def must_end(self, name, code, seconds=SECONDS):
        process = self.server if name == "server" else self.clients[name]
        try:
            ended = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as exception:
            raise Failed(f"{name} still runs after {seconds} s; its last words: {self.last_words(name)}") from exception
        codes = code if isinstance(code, tuple) else (code,)
        must(ended in codes, f"{name} ended with {ended}, expected {' or '.join(map(str, codes))}; its last words: {self.last_words(name)}")
        return ended

    def must_live(self, *names):
        for name in names or ["server", *self.names]:
            process = self.server if name == "server" else self.clients[name]
            must(process.poll() is None, f"{name} ended by itself with {process.returncode}; its last words: {self.last_words(name)}")

    def try_command(self, *words, code, text=(), user=None, seconds=60):
        """A command that has to end with this code (or one of them) and to say all of text; what it wrote."""
        extra = {"user": user, "group": user, "extra_groups": []} if user else {}
        try:
            done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=seconds, env=self.environment, **extra)
        except subprocess.TimeoutExpired as exception:
            said = ((exception.stdout or b"") + (exception.stderr or b"")).decode(errors="replace")
            raise Failed(f"{pathlib.Path(words[0]).name} {words[1]} does not end within {seconds} s: {said.strip()[-600:]}") from exception
        said = done.stdout + done.stderr
        codes = code if isinstance(code, tuple) else (code,)
        must(done.returncode in codes, f"{pathlib.Path(words[0]).name} {words[1]}: exit {done.returncode}, expected {codes}: {said.strip()[-600:]}")
        for part in [text] if isinstance(text, str) else text:
            must(part in said, f"{pathlib.Path(words[0]).name} {words[1]} does not say {part!r}: {said.strip()[-600:]}")
        return said.strip()

    # ---- logs ----

    def log_path(self, name):
        return self.folder / f"{name}.log"

    def log(self, name, since=0):
        path = self.log_path(name)
        return path.read_bytes()[since:].decode(errors="replace") if path.exists() else ""

    def log_size(self, name):
        path = self.log_path(name)
        return path.stat().st_size if path.exists() else 0

    def last_words(self, name):
        lines = self.log(name).strip().splitlines()
        return " / ".join(lines[-2:])

    def wait_log(self, name, pattern, since=0, seconds=SECONDS):
        """The first line that matches."""
        def found():
            for line in self.log(name, since).splitlines():
                if re.search(pattern, line):
                    return line
            return None
        try:
            return wait_until(found, seconds, f"{name} says {pattern}")
        except TimeoutError as exception:
            raise Failed(f"{name} never says {pattern!r}; its last words: {self.last_words(name)}") from exception

    def check_processes(self):
        """Nothing may have died of a signal that we did not send, or have reported an error of memory."""
        for name, process in [("server", self.server), *self.clients.items()]:
            if process and process.poll() is not None and process.returncode < 0 and process.pid not in self.ours:
                raise Failed(f"{name} died of {signal.Signals(-process.returncode).name}; its last words: {self.last_words(name)}")
        for path in self.folder.glob("*.log"):
            text = path.read_text(errors="replace")
            must("Sanitizer" not in text and "runtime error" not in text, f"{path.name}: {text[-2000:]}")

    # ---- disks ----

    def mount(self, folder, *options, source="tmpfs", kind=("-t", "tmpfs")):
        if os.geteuid() != 0:
            raise Skipped("needs root, to mount a small file system")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *kind, *options, source, str(folder)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skipped(f"mount is not allowed here: {done.stderr.strip()}")
        self.mounts.append(folder)

    def small_disk(self, folder, kib):
        self.mount(folder, "-o", f"size={kib}k")

    def read_only(self, folder):
        self.mount(folder, source=str(folder), kind=("--bind",))
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True, capture_output=True)

    @staticmethod
    def fill(folder, leave=0):
        """Writes until nothing fits; leaves so many bytes, rounded to whole pages."""
        path = folder / "filler"
        with open(path, "ab", buffering=0) as filler:
            for size in (65536, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))
            filler.truncate(max(filler.tell() - leave, 0))

    @staticmethod
    def free(folder):
        (folder / "filler").unlink()

    # ---- requests of our own ----

    def admin_request(self, method, path, body=None):
        """A raw request on the server's Unix socket: status, headers, body."""
        connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.server_folder / "admin.sock"))
        token = (self.server_folder / "admin.token").read_text().strip()
        try:
            connection.request(method, path, body=body, headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    # ---- the end ----

    def closing(self, function):
        """To be called in the end, whatever happens."""
        self.closers.append(function)

    def close(self):
        self.stop_all()
        for function in self.closers:
            function()
        for folder in reversed(self.mounts):
            subprocess.run(["umount", "-l", str(folder)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def pause(seconds):
    """Lets a disturbance last; nothing is concluded from how long it really was."""
    time.sleep(seconds)
