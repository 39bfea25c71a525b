"""`fl-client doctor`: everything that it looks at is broken for real, and it must say what and how to mend it, and change nothing."""
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from deployment import Deployment, Identity, run, shifted, wait_until
from doctor_case import DoctorCase, snapshot

CLIENT = os.environ["FL_CLIENT"]
DIGITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "data" / "digits.csv.gz"
DAY = 86400
NOBODY = 65534
SPEC = """name: {name}
rounds: {rounds}
model: {{kind: softmax, inputs: 64, outputs: 10}}
codec: {{name: int-threshold, lambda: 0.015625}}
round: {{target: {target}, gather_ms: 10}}
"""


class Page(http.server.BaseHTTPRequestHandler):
    """A proxy that answers by itself: {path: (status, body)}, and page for everything else."""
    pages = {}
    page = (200, b"<html>Welcome to the hotel</html>")

    def do_GET(self):
        status, body = self.pages.get(self.path, self.page)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST = do_GET

    def log_message(self, *_):
        pass


class Doctor(DoctorCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Deployment(token_uses=64).start()
        cls.folder = cls.server.folder
        cls.state = cls.enroll("c")
        cls.create("ended", rounds=1)
        cls.create("open", rounds=3, target=2)
        cls.client("run", "ended")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    @classmethod
    def enroll(cls, name):
        state = cls.folder / name
        token = cls.server.command_json("token", "create")["token"]
        run(CLIENT, "enroll", "--server", f"https://127.0.0.1:{cls.server.port}", "--token", token, "--ca-fingerprint",
            cls.server.init["ca_fingerprint"], "--state", state)
        return state

    @classmethod
    def create(cls, name, rounds, target=1):
        spec = cls.folder / f"{name}.yaml"
        spec.write_text(SPEC.format(name=name, rounds=rounds, target=target))
        cls.server.command("run", "create", spec)

    @classmethod
    def client(cls, command, run_name, state=None, expect=0):
        return run(CLIENT, command, "--server", f"https://127.0.0.1:{cls.server.port}", "--run", run_name, "--state",
                   state or cls.state, "--data", DIGITS, "--data.scale", "0.0625", expect=expect)

    # ---- one look ----

    def look(self, expect=None, environment=None, user=None, state=None, run_name="open", url=None, **settings):
        """The findings, as text and JSON agree on them."""
        values = {"server.url": url or f"https://127.0.0.1:{self.server.port}", "run": run_name, "state": state or self.state,
                  "data.path": DIGITS, "data.scale": 0.0625, **settings}
        self.config = pathlib.Path(self.folder) / "config.yaml"
        lines, group = [], None
        for key, value in sorted(values.items(), key=lambda item: ("." in item[0], item[0])):
            if value is None:
                continue
            head, _, tail = key.partition(".")
            if tail and head != group:
                lines.append(f"{head}:")
                group = head
            lines.append(f"  {tail}: {value}" if tail else f"{head}: {value}")
        self.config.write_text("\n".join(lines) + "\n")
        self.diagnose([CLIENT, "doctor", "--config", self.config], [self.folder / "c"], expect, environment, user=user)

    def copy(self, name="copy"):
        """A copy of the enrolled folder to break."""
        target = self.folder / name
        shutil.copytree(self.state, target)
        self.addCleanup(shutil.rmtree, target, True)
        return target

    # ---- all is well ----

    def test_a_healthy_client_has_only_ok_lines(self):
        self.look(expect=0)
        self.assertEqual({f["outcome"] for f in self.findings}, {"ok"}, self.findings)
        names = [f["name"] for f in self.findings]
        for name in ("configuration", "versions", "threads", "state folder", "process", "identity", "certificate", "root", "issuing authority", "clock",
                     "connection", "health", "time difference", "login", "run", "state files", "disk", "data", "data and model"):
            self.assertIn(name, names)
        text = run(CLIENT, "doctor", "--config", self.config).stdout
        for finding, line in zip(self.findings, text.splitlines()):
            self.assertTrue(line.startswith(f"ok    {finding['name']}: "), line)

    def test_lines_and_their_fixes(self):
        self.look(run_name="ended")
        text = run(CLIENT, "doctor", "--config", self.config).stdout
        self.assertRegex(text, "(?m)^note  run: ended: ended, .*\n      fix: nothing, or name another run")

    def test_a_running_client_is_seen_and_not_disturbed(self):
        state = self.enroll("running")
        self.look(state=state)
        log = open(self.folder / "running.log", "w+")
        process = subprocess.Popen([CLIENT, "run", "--config", str(self.config)], stderr=log, stdout=log)
        try:
            waiting = lambda: self.server.command_json("run", "status", "open")["runs"][0]["waiting"]
            self.assertTrue(wait_until(lambda: waiting() == 1))
            for _ in range(3):
                self.look(expect=0, state=state)
                self.expect("process", "ok", ["an fl-client runs"])
                self.assertEqual(waiting(), 1)
            self.assertIsNone(process.poll())
            log.seek(0)
            lines = log.read().splitlines()
            self.assertEqual([line for line in lines if " INFO " not in line.upper()], [])
        finally:
            process.kill()
            process.wait()
            log.close()

    # ---- before there is anything ----

    def test_before_enrolment(self):
        done = run(CLIENT, "doctor", "--server", f"https://127.0.0.1:{self.server.port}", "--json")
        self.findings = json.loads(done.stdout)
        self.expect("health", "note", [self.server.init["ca_fingerprint"]], ["compare"])
        self.expect("configuration", "note", ["run, state, data.path"], ["--config"])
        self.look(expect=1, state=self.folder / "nowhere")
        self.expect("state folder", "fail", ["nowhere"], ["fl-client enroll --server https://127.0.0.1", "nowhere"])
        empty = self.folder / "empty"
        empty.mkdir(mode=0o700)
        self.look(expect=1, state=empty)
        self.expect("identity", "fail", ["not enrolled"], ["fl-client enroll", "--ca-fingerprint"])
        self.assertEqual(list(empty.iterdir()), [])

    def test_configuration(self):
        self.look(expect=1, run_name=None, **{"data.path": None})
        self.expect("configuration", "fail", ["run, data.path"], ["run: digits", str(self.config)])
        self.look(expect=1, run_name="../other")
        self.expect("configuration", "fail", ["../other"], ["fl-server run list"])
        self.config.write_text("serve: {url: x}\n")
        done = run(CLIENT, "doctor", "--config", self.config, expect=3)
        self.assertRegex(done.stderr, r"config.yaml:1: .*serve")
        run(CLIENT, "doctor", "--nonsense", expect=2)
        self.assertIn("fl-client doctor --config", run(CLIENT, "doctor", "--help").stdout)

    # ---- the folder ----

    def test_modes(self):
        state = self.copy()
        state.chmod(0o755)
        self.look(expect=0, state=state)
        self.expect("state folder", "warn", ["0755"], [f"chmod 700 {state}"])
        state.chmod(0o700)
        (state / "key.pem").chmod(0o640)
        self.look(expect=1, state=state)
        self.expect("key", "fail", ["0640"], [f"chmod 600 {state}/key.pem"])
        self.expect("login", "ok")  # looked at all the same

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_another_user(self):
        base = pathlib.Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, base)
        base.chmod(0o755)
        state = base / "c"
        shutil.copytree(self.state, state)
        os.chown(state, NOBODY, NOBODY)
        self.look(expect=0, state=state)
        self.expect("state folder", "warn", ["belongs to nobody", "root"], ["sudo -u nobody"])
        self.folder.chmod(0o755)
        self.addCleanup(self.folder.chmod, 0o700)
        state.chmod(0o500)
        self.look(expect=1, state=state, user=NOBODY)
        self.expect("state folder", "fail", ["Permission denied"], [f"chmod u+rwx {state}"])
        state.chmod(0o700)
        self.look(expect=1, state=state, user=NOBODY)
        self.expect("key", "fail", ["Permission denied"], ["chown"])
        base.chmod(0o700)
        self.look(expect=1, state=state, user=NOBODY)
        self.expect("state folder", "fail", ["Permission denied"], [f"namei -l {state}"])

    def test_a_small_a_full_and_a_read_only_disk(self):
        point = self.folder / "disk"
        self.mounted(point, "size=1m", "nr_inodes=400")
        state = point / "c"
        shutil.copytree(self.state, state)
        self.look(expect=1, state=state)
        self.expect("disk", "fail", ["needs 1.0 MiB"], ["make room", str(state)])
        self.expect("inodes", "warn", ["more files"], [f"df -i {state}"])
        self.fill(point / "ballast")
        self.look(expect=1, state=state)
        self.expect("state folder", "fail", ["No space left"], [f"df -h {state}"])
        (point / "ballast").unlink()
        run("mount", "-o", "remount,ro", point)
        self.look(expect=1, state=state)
        self.expect("state folder", "fail", ["Read-only file system"], ["remount,rw"])
        self.expect("login", "ok")

    # ---- identity and time ----

    def test_damaged_identity(self):
        other = self.enroll("other-identity")
        stranger = Identity(self.folder, self_signed=True)
        cases = [("key.pem", (other / "key.pem").read_bytes(), "key.pem"), ("key.pem", b"junk", "key.pem"),
                 ("client.pem", b"", "client.pem"), ("client.pem", stranger.chain.read_bytes(), "client.pem"),
                 ("root.pem", stranger.chain.read_bytes(), "root.pem"), ("key.pem", None, "key.pem"), ("root.pem", None, "root.pem")]
        for name, content, named in cases:
            with self.subTest(name=name, content=content):
                state = self.copy()
                if content is None:
                    (state / name).unlink()
                else:
                    (state / name).write_bytes(content)
                self.look(expect=1, state=state)
                failed = [f for f in self.findings if f["outcome"] == "fail"]
                self.assertEqual([f["name"] for f in failed[1:]], ["server certificate"] if name == "root.pem" and content else [])
                self.assertIn(named, failed[0]["found"])
                self.assertIn("from a backup", failed[0]["fix"])
                self.assertIn("fl-client enroll", failed[0]["fix"])
                if name != "root.pem":
                    self.expect("health", "ok", ["under the pinned authority"])
                shutil.rmtree(state)

    def test_certificates_near_and_past_their_end(self):
        self.look(expect=0, environment=shifted(300 * DAY))
        self.expect("certificate", "warn", ["ends 20", "in 64 days"], [f"fl-client run --config {self.config}"])
        self.expect("time difference", "warn", ["ahead of the server"], ["timedatectl"])
        self.look(expect=0, environment=shifted(400 * DAY))
        self.expect("certificate", "warn", ["has expired", "days ago"], ["fl-client run --config"])
        self.look(expect=1, environment=shifted(9.5 * 365 * DAY))
        self.expect("issuing authority", "warn", ["ends 20"], ["fl-server init"])
        self.look(expect=1, environment=shifted(25 * 365 * DAY))
        self.expect("root", "fail", ["has expired"], ["fl-server init"])
        self.expect("server certificate", "fail", ["has expired, if it is 20"], ["timedatectl set-ntp true"])

    def test_clocks_that_are_behind(self):
        self.look(expect=0, environment=shifted(-time.time() + 60))
        self.expect("clock", "warn", ["it says 1970-01-01", "last seen"], ["timedatectl set-ntp true", "date -u -s"])
        self.expect("time difference", "warn", ["behind the server"], ["timedatectl"])
        self.expect("health", "ok")
        state = self.copy()
        (state / "time").unlink()
        self.look(expect=0, state=state, environment=shifted(-time.time() + 60))
        self.expect("clock", "warn", ["the time of this build"])
        self.assertFalse((state / "time").exists())

    # ---- the way to the server ----

    def proxy(self, certificate, pages=None, page=Page.page, change=lambda context: None):
        """Somebody else on a port of its own; certificate (chain, key), or None for plain HTTP; change: of the TLS context."""
        handler = type("Handler", (Page,), {"pages": pages or {}, "page": page})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            change(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"https://127.0.0.1:{server.server_address[1]}"

    def ours(self):
        return self.server.dir / "authority" / "server.pem", self.server.dir / "authority" / "server.key"

    def test_nobody_and_no_way(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            self.look(expect=1, url=f"https://127.0.0.1:{closed.getsockname()[1]}")
        self.expect("connection", "fail", ["refused"], ["systemctl start fl-server", "fl-server doctor"])
        self.look(expect=1, url="https://fl-server.invalid:8443")
        self.expect("name", "fail", ["fl-server.invalid"], ["getent hosts fl-server.invalid"])
        self.look(expect=1, url="http://127.0.0.1:1")
        self.expect("server", "fail", ["http://127.0.0.1:1"], ["https://"])
        self.look(expect=1, environment={"https_proxy": "http://user:secret@127.0.0.1:9"})
        self.assertNotIn("secret", str(self.findings))
        self.expect("proxy", "note", ["https_proxy"], ["export no_proxy=127.0.0.1"])

    def test_somebody_else(self):
        other = Deployment()
        self.addCleanup(other.close)
        other.start()
        self.look(expect=1, url=f"https://127.0.0.1:{other.port}")
        self.expect("server certificate", "fail", [other.init["ca_fingerprint"], "another authority"], ["server.url", "fl-client enroll"])
        stranger = Identity(self.folder, self_signed=True)
        self.look(expect=1, url=self.proxy((stranger.chain, stranger.key)))
        self.expect("server certificate", "fail", ["no fl-server"], ["openssl s_client"])
        self.look(expect=1, url=self.proxy(None))
        self.expect("tls", "fail", (), ["openssl s_client", "listen.port"])
        self.look(expect=1, url=f"https://localhost:{self.server.port}")
        self.expect("server certificate", "fail", ["pinned authority, but", "localhost"], ["a name of the server's certificate"])

    def test_an_old_tls_and_a_server_that_hangs(self):
        def old(context):
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.look(expect=1, url=self.proxy(self.ours(), change=old))
        self.expect("tls", "fail", (), ["TLS 1.2 or 1.3"])
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.look(expect=1, url=f"https://127.0.0.1:{silent.getsockname()[1]}")
        self.expect("connection", "ok")
        self.expect("health", "fail", (), ["overloaded or stopped", "systemctl restart fl-server"])

    def test_R4_a_proxy_that_answers_itself(self):
        self.look(expect=1, url=self.proxy(self.ours()))
        self.expect("health", "fail", ["HTTP 200 is no answer of fl-server", "Welcome to the hotel"], ["pass TCP and TLS through"])
        health = {"/v1/health": (200, b'{"status":"ok"}')}
        for status in (200, 302, 401, 403, 404, 407):
            self.look(expect=1, url=self.proxy(self.ours(), health, (status, b"<html>Log in first</html>")))
            name = "run" if status == 200 else "login"
            self.expect(name, "fail", [f"HTTP {status} is no answer", "Log in first"], ["proxy"])
        self.look(expect=1, url=self.proxy(self.ours(), {**health, "/v1/runs/open": (200, b"\x82\xa1v\x02\xa4name\xa4open")}))
        self.expect("protocol", "fail", ["another major version"], ["install the fl-client"])
        busy = b'{"error": "FL_ERR_STATE", "message": "too much"}'
        self.look(expect=0, url=self.proxy(self.ours(), {**health, "/v1/runs/open": (503, busy)}))
        self.expect("login", "warn", ["busy", "503"], ["later"])

    def lives_on(self, url, name, said):
        """A client that is run against url says that more than once and goes on."""
        log = self.folder / f"{name}.log"
        with open(log, "w") as out:
            process = subprocess.Popen([CLIENT, "run", "--server", url, "--run", "open", "--state", str(self.copy(name)), "--data", str(DIGITS)],
                                       stderr=out)
        try:
            self.assertTrue(wait_until(lambda: log.read_text().count(said) > 1), log.read_text())
            self.assertIsNone(process.poll())
        finally:
            process.kill()
            process.wait()

    def test_R4_a_client_lives_on_behind_a_proxy_that_refuses(self):
        for status in (401, 403, 407):
            self.lives_on(self.proxy(self.ours(), page=(status, b"<html>no</html>")), f"behind-{status}",
                          "a proxy may be in the way: see `fl-client doctor`")

    def listener(self, serve):
        """URL of a port whose connections are given to serve, one after the other; what it leaves is read to its end, so that no
        reset overtakes what it has sent."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def loop():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.settimeout(30)
                    try:
                        serve(connection)
                    except (OSError, ssl.SSLError):
                        pass
                    try:
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except OSError:
                        pass
        threading.Thread(target=loop, daemon=True).start()
        self.addCleanup(listener.close)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    def test_R4_a_refusal_by_tls_counts_from_the_server_only(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.ours())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(Identity(self.folder, self_signed=True).chain)

        def other_authority(connection):  # the server's own certificate, but clients of somebody else
            with context.wrap_socket(connection.dup(), server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}')
        url = self.listener(other_authority)
        self.look(expect=1, url=url)
        self.expect("login", "fail", ["refuses this client's certificate"], ["fl-client enroll"])
        run(CLIENT, "run", "--server", url, "--run", "open", "--state", self.copy("refused"), "--data", DIGITS, expect=5)

        def deny(connection):
            connection.recv(65536)
            connection.sendall(bytes.fromhex("15 0303 0002 0231"))  # a fatal alert: access denied
        self.lives_on(self.listener(deny), "denied", "asking for the run again")

        def message(kind, body):
            return bytes([kind]) + len(body).to_bytes(3, "big") + body

        def record(kind, body):
            return bytes([kind]) + b"\x03\x03" + len(body).to_bytes(2, "big") + body

        def pretend(connection):  # the server's certificate, which is no secret, of somebody who has not its key
            pem = pathlib.Path(self.ours()[0]).read_text()
            chain = b"".join(len(der).to_bytes(3, "big") + der
                             for der in map(ssl.PEM_cert_to_DER_cert, re.findall("-----BEGIN.*?-----END CERTIFICATE-----", pem, re.S)))
            hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2b\x00" + b"\x00\x05\xff\x01\x00\x01\x00"  # TLS 1.2, ECDHE-ECDSA
            connection.recv(65536)
            connection.sendall(record(22, message(2, hello)) + record(22, message(11, len(chain).to_bytes(3, "big") + chain)) +
                               record(21, bytes([2, 49])))
        self.lives_on(self.listener(pretend), "pretended", "asking for the run again")

    def test_what_the_server_says_of_this_client(self):
        state = self.enroll("revoked")
        text = run("openssl", "x509", "-in", state / "client.pem", "-noout", "-subject").stdout
        self.server.command("clients", "revoke", text.strip().split()[-1].split("=")[-1])
        self.look(expect=1, state=state)
        self.expect("login", "fail", ["403", "revoked"], ["fl-server clients list", "fl-client enroll"])
        self.look(expect=1, run_name="misspelt")
        self.expect("run", "fail", ["no run misspelt", "ended", "open"], ["fl-server run create"])
        self.expect("login", "ok")
        expired = Deployment()
        self.addCleanup(expired.close)
        expired.start("--certificates.client_life", "1s")
        token = expired.command_json("token", "create")["token"]
        state = self.folder / "short"
        run(CLIENT, "enroll", "--server", f"https://127.0.0.1:{expired.port}", "--token", token, "--ca-fingerprint",
            expired.init["ca_fingerprint"], "--state", state)
        time.sleep(2.1)  # its certificate's life
        self.look(expect=0, state=state, url=f"https://127.0.0.1:{expired.port}")
        self.expect("login", "warn", ["expired"], ["fl-client run"])
        self.expect("certificate", "warn", ["has expired"])

    # ---- the run's files ----

    def test_damaged_files_of_a_run(self):
        names = sorted(p.name for p in (self.state / "runs" / "ended").iterdir())
        residual, replica = (next(n for n in names if n.startswith(kind)) for kind in ("residual.", "replica."))
        for name, finding, outcome, fix in (("manifest", "state files", "fail", "fl-client resync"), (residual, "state files", "fail", "mv "),
                                            (replica, "replica", "warn", "nothing")):
            with self.subTest(name=name):
                state = self.copy()
                path = state / "runs" / "ended" / name
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 4
                path.write_bytes(data)
                before = snapshot(state)
                self.look(expect=int(outcome == "fail"), state=state, run_name="ended")
                self.expect(finding, outcome, [name], [fix])
                self.assertEqual(snapshot(state), before)
                shutil.rmtree(state)

    def test_a_codec_that_starts_afresh(self):
        state = self.copy()
        path = state / "runs" / "ended" / "manifest"
        lines = path.read_text().splitlines()[:-1]
        lines.append(f"codec-state codec-state.3 40 {'0' * 64}")
        text = "\n".join(lines) + "\n"
        path.write_text(text + f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\n")
        self.look(expect=0, state=state, run_name="ended")
        self.expect("codec state", "warn", ["codec-state.3", "starts afresh"], ["nothing"])

    def test_a_lost_outbox(self):
        state = self.copy()
        path = state / "runs" / "ended" / "manifest"
        lines = path.read_text().splitlines()[:-1]
        seq = next(line.split()[1] for line in lines if line.startswith("next-seq"))
        at = next(i for i, line in enumerate(lines) if line.startswith("dropped"))
        lines[at:at] = [f"outbox update.{seq} 100 {'0' * 64}", "codec int-threshold 0x1p-6 -8 0x0p+0"]
        text = "\n".join(lines) + "\n"
        path.write_text(text + f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\n")
        self.look(expect=0, state=state, run_name="ended")
        self.expect("outbox", "warn", [f"update.{seq}", "counted as lost"], ["from a backup"])

    def test_the_fix_of_a_damaged_folder_works(self):
        state = self.enroll("mended")
        self.create("mended", rounds=4, target=1)
        self.client("run", "mended", state)
        self.create("mended-2", rounds=50, target=1)
        process = subprocess.Popen([CLIENT, "run", "--server", f"https://127.0.0.1:{self.server.port}", "--run", "mended-2", "--state",
                                    str(state), "--data", str(DIGITS)], stderr=subprocess.DEVNULL)
        folder = state / "runs" / "mended-2"
        try:
            self.assertTrue(wait_until(lambda: (folder / "manifest").exists() and "\nresidual " in (folder / "manifest").read_text()))
        finally:
            process.kill()
            process.wait()
        for residual in folder.glob("residual.*"):
            residual.write_bytes(b"junk")
        self.look(expect=1, state=state, run_name="mended-2")
        fix = self.expect("state files", "fail", ["residual"])["fix"]
        self.assertIn(f"mv {folder} {folder}.damaged", fix)
        self.assertIn(f"fl-client resync --config {self.config}", fix)
        folder.rename(f"{folder}.damaged")
        run(CLIENT, "resync", "--config", self.config)
        self.client("run", "mended-2", state)
        self.look(expect=0, state=state, run_name="mended-2")
        self.assertEqual(self.bad(), set())

    def test_another_run_of_this_name(self):
        other = Deployment()
        self.addCleanup(other.close)
        other.start()
        state = self.folder / "twice"
        run(CLIENT, "enroll", "--server", f"https://127.0.0.1:{other.port}", "--token", other.init["token"], "--ca-fingerprint",
            other.init["ca_fingerprint"], "--state", state)
        time.sleep(1.1)  # epochs are seconds
        spec = self.folder / "twice.yaml"
        spec.write_text(SPEC.format(name="ended", rounds=1, target=1))
        other.command("run", "create", spec)
        shutil.copytree(self.state / "runs", state / "runs")
        self.look(expect=1, state=state, run_name="ended", url=f"https://127.0.0.1:{other.port}")
        self.expect("state and run", "fail", ["another run of this name"], [f"mv {state}/runs/ended"])

    # ---- data, environment ----

    def test_data(self):
        few = self.folder / "few.csv"
        few.write_text("".join(f"{i},{i + 1},{i % 2}\n" for i in range(40)))
        wrong = self.folder / "wrong.csv"
        wrong.write_text("1,2,0\n1,2\n")
        labels = self.folder / "labels.csv"
        labels.write_text("".join(",".join(["1"] * 64) + f",{i}\n" for i in range(30)))
        cases = [({"data.path": self.folder / "gone.csv"}, "data", ["gone.csv"], ["put the file there", "data.path"]),
                 ({"data.path": self.folder}, "data", [str(self.folder)], ["data.path"]),
                 ({"data.path": wrong}, "data", ["wrong.csv"], ["correct the file"]),
                 ({"data.path": few}, "data and model", ["do not fit", "64"], ["data.path", "name the run"]),
                 ({"data.path": labels}, "data and model", ["do not fit"], ["data.label_map"]),
                 ({"data.partition": "iid", "data.clients": 2000, "data.index": 1}, "data", [], ["data.clients"]),
                 ({"data.partition": "iid", "data.clients": 2, "data.index": 2}, "data", ["clients count from 0"], ["data.index"]),
                 ({"data.max_bytes": 1000}, "data", [], ["data.max_bytes"])]
        for settings, name, found, fix in cases:
            with self.subTest(settings=settings):
                self.look(expect=1, **settings)
                self.expect(name, "fail", found, fix)
        self.look(expect=0, **{"data.test_fraction": 0})
        self.expect("data", "note", ["0 to test on"], ["data.test_fraction"])

    def test_threads(self):
        self.look(expect=0, environment={"OPENBLAS_NUM_THREADS": "64"})
        self.expect("threads", "note", ["OPENBLAS_NUM_THREADS=64"], ["export OPENBLAS_NUM_THREADS=1"])


if __name__ == "__main__":
    unittest.main()
