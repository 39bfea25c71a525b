"""One fl-server as a real process on loopback, and peers of several kinds for it. Python standard library, python3-msgpack,
and the programs curl and openssl."""
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import http.client

import msgpack

PROGRAM = os.environ["FL_SERVER"]
SHIM = os.environ.get("FL_CLOCK_SHIM", "")
MSGPACK = {"Accept": "application/msgpack"}


def run(*words, expect=0, stdin=None):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, input=stdin)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{words}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done


def shifted(seconds):
    """Environment of a process whose wall clock is off by so much."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return dict(LD_PRELOAD=SHIM, FL_CLOCK_SHIFT_S=str(int(seconds)), ASAN_OPTIONS=f"{options}:verify_asan_link_order=0".lstrip(":"))


def openssl_version():
    return tuple(int(part) for part in run("openssl", "version").stdout.split()[1].split(".")[:2])


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def msgpack(self):
        return msgpack.unpackb(self.body)


class Deployment:
    def __init__(self, token_uses=8):
        self.temporary = tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp")  # a short path: it holds a Unix socket
        self.folder = pathlib.Path(self.temporary.name)
        self.dir = self.folder / "s"
        self.process = None
        self.environment = {}  # of the server, besides our own
        self.init = json.loads(run(PROGRAM, "init", self.dir, "--host", "127.0.0.1", "--port", 0, "--token-uses", token_uses,
                                   "--json").stdout)
        self.root = self.dir / "authority" / "root.pem"

    def start(self, *options):
        self.log = open(self.folder / "log", "ab")
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen([PROGRAM, "serve", "--config", str(self.dir / "server.yaml"), "--port-file", str(port_file),
                                         *options], stdout=subprocess.PIPE, stderr=self.log,
                                        env=dict(os.environ, **self.environment))
        ready = self.process.stdout.readline().decode()
        assert "ready" in ready, f"{ready}{(self.folder / 'log').read_text()}"
        self.port = int(port_file.read_text())
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()
        self.process = None
        return code

    def close(self):
        code = self.stop() if self.process else 0
        log = (self.folder / "log").read_text() if (self.folder / "log").exists() else ""
        self.temporary.cleanup()
        assert "Sanitizer" not in log and "runtime error" not in log, log
        assert code == 0, f"exit {code}\n{log}"

    def command(self, *words, expect=0):
        return run(PROGRAM, *words, "--dir", self.dir, expect=expect)

    def command_json(self, *words):
        return json.loads(self.command(*words, "--json").stdout)

    # ---- peers ----

    def context(self, identity=None):
        context = ssl.create_default_context(cafile=str(self.root))
        if identity:
            context.load_cert_chain(identity.chain, identity.key)
        return context

    def connect(self, identity=None):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context(identity), timeout=60)

    def request(self, method, path, body=None, identity=None, headers=MSGPACK):
        connection = self.connect(identity)
        try:
            connection.request(method, path, body=body, headers=headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def enroll(self, identity, token, name="test"):
        body = msgpack.packb({"v": 1, "token": token, "name": name, "csr": identity.csr})
        answer = self.request("POST", "/v1/enroll", body)
        if answer.status == 200:
            message = answer.msgpack()
            identity.client = message["client"]
            identity.chain.write_bytes(message["chain"])
        return answer

    def enrolled(self, name="test"):
        identity = Identity(self.folder)
        answer = self.enroll(identity, self.command_json("token", "create")["token"], name)
        assert answer.status == 200, answer.body
        return identity

    def forged(self, days, usage="clientAuth"):
        """A client certificate that our issuing key has signed, but that no enrolment has registered."""
        identity = Identity(self.folder)
        request, extension = identity.key.with_suffix(".req"), identity.key.with_suffix(".ext")
        request.write_bytes(identity.csr)
        extension.write_text(f"extendedKeyUsage={usage}\n")
        authority = self.dir / "authority"
        validity = ["-days", days]
        if days < 0 and openssl_version() >= (3, 4):  # newer tools refuse an end before the start, and take both dates instead
            validity = ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
        run("openssl", "x509", "-req", "-inform", "DER", "-in", request, "-CA", authority / "issuing.pem", "-CAkey",
            authority / "issuing.key", "-set_serial", "77", *validity, "-extfile", extension, "-out", identity.chain)
        identity.chain.write_bytes(identity.chain.read_bytes() + (authority / "issuing.pem").read_bytes())
        return identity

    def curl(self, path, identity=None, *options):
        words = ["curl", "-sS", "--cacert", self.root, "-w", "\n%{http_code}", *options, f"https://127.0.0.1:{self.port}{path}"]
        if identity:
            words += ["--cert", identity.chain, "--key", identity.key]
        return run(*words, expect=None)

    def alive(self):
        return self.request("GET", "/v1/health").status == 200

    def admin(self, method, path, body=None, token=None):
        """A raw request on the Unix socket; token None: none is shown."""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.dir / "admin.sock"))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, body=body, headers=headers)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def admin_token(self):
        return (self.dir / "admin.token").read_text().strip()


class Identity:
    """A key with a CSR, or with a certificate that some other authority has signed."""
    count = 0

    def __init__(self, folder, self_signed=False):
        Identity.count += 1
        base = pathlib.Path(folder) / f"id{Identity.count}"
        self.key, self.chain = base.with_suffix(".key"), base.with_suffix(".pem")
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        if self_signed:
            run("openssl", "req", "-new", "-x509", "-key", self.key, "-subj", "/CN=stranger", "-days", "1", "-out", self.chain)
            return
        request = base.with_suffix(".csr")
        run("openssl", "req", "-new", "-key", self.key, "-subj", "/CN=anything", "-outform", "DER", "-out", request)
        self.csr = request.read_bytes()


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


SPEC = """name: {name}
rounds: 2
model:
  kind: mlp
  inputs: 4
  outputs: 3
  hidden: [5]
codec:
  name: {codec}
round:
  target: {target}
  gather_ms: 50
"""


def create_run(deployment, name="digits", codec="dense", target=1):
    spec = deployment.folder / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name, codec=codec, target=target))
    return deployment.command_json("run", "create", spec)["runs"][0]


def root_fingerprint(path):
    pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", path.read_text(), re.S).group(0)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
