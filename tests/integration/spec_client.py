"""A client of Residue written from protocol/README.md and codec/README.md alone; nothing of this project is used.

It shows that the specification is enough, and serves the tests as a second implementation to compare with. Trains
softmax models with the codec int-threshold, in parts or not, in plain Python: for models of tests. One thread.
"""
import hashlib
import http.client
import json
import math
import os
import random
import socket
import ssl
import subprocess
import time
import urllib.parse

import msgpack

import spec_model
import spec_payload
from spec_payload import f32

MSGPACK = "application/msgpack"
TRAIN, CALIBRATE = 0, 1
ACCEPTED, LATE, ENDED, INVALID, CONFLICT = range(5)
STATUS = {ACCEPTED: (200, 201), LATE: (409,), ENDED: (410,), INVALID: (422,), CONFLICT: (412,)}
LOST = (ConnectionError, http.client.HTTPException, socket.timeout, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Refused(Exception):
    """The server refused for good, or is not the server that was named; a person must look."""


class Conflict(Exception):
    """The state folder and the server disagree (412)."""


# Messages (section 1): equal messages are equal bytes.


def pack_value(value):
    if isinstance(value, float):
        return msgpack.packb(value, use_single_float=abs(value) < 2.0**127 and f32(value) == value)
    if isinstance(value, (list, tuple)):
        return msgpack.Packer().pack_array_header(len(value)) + b"".join(map(pack_value, value))
    if isinstance(value, dict):
        return pack_map(value)
    return msgpack.packb(value)


def pack_map(fields):
    return msgpack.Packer().pack_map_header(len(fields)) + b"".join(
        msgpack.packb(key) + pack_value(value) for key, value in fields.items()
    )


def pack(**fields):
    return pack_map({"v": 1, **fields})


def unpack(body):
    """The message in body; ValueError when it is none of version 1."""

    def pairs(items):
        fields = dict(items)
        if len(fields) != len(items):
            raise ValueError("a key twice")
        return fields

    try:
        message = msgpack.unpackb(body, object_pairs_hook=pairs)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"not a message: {error}") from error
    if not isinstance(message, dict) or message.get("v") != 1:
        raise ValueError("not a message of version 1")
    return message


def version_text(version):
    return f"{version[0]}.{version[1]}.{version[2].hex()}"


# Connections (sections 2 and 3).


class Wire:
    """One kept connection to a server."""

    def __init__(self, url, context):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.context = parts.hostname, parts.port or 443, context
        self.connection = None
        self.attempt = 0

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def back_off(self, at_least=0.0):
        time.sleep(max(at_least, random.uniform(0, min(30.0, 0.25 * 2**self.attempt))))
        self.attempt += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def submit(self, method, path, body=None, headers=None, timeout=60.0):
        """Sends a request, without waiting for its answer. Raises one of LOST."""
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=timeout)
            self.connection.connect()
        self.connection.sock.settimeout(timeout)
        send = {"Accept": MSGPACK, **(headers or {})}
        if body is not None:
            send["Content-Type"] = MSGPACK
        self.connection.request(method, path, body=body, headers=send)

    def begin(self, method, path, **request):
        """Sends a request; returns the http.client answer, unread. Raises one of LOST."""
        self.submit(method, path, **request)
        return self.connection.getresponse()

    def ask(self, method, path, body=None, timeout=60.0):
        """(status, headers, body) of a request that may be sent again; tries until there is an answer below 500."""
        while True:
            try:
                answer = self.begin(method, path, body=body, timeout=timeout)
                content = answer.read()
            except LOST:
                self.close()
                self.back_off()
                continue
            if answer.status >= 500:
                self.back_off(float(answer.headers.get("Retry-After", 0)))
                continue
            if answer.status in (401, 403, 407) and not is_servers_word(content):
                self.back_off()
                continue
            if answer.status in (401, 403):
                raise Refused(f"{method} {path}: {answer.status} {error_text(content)}")
            self.attempt = 0
            return answer.status, answer.headers, content


def is_servers_word(content):
    """Whether the body of a refusal is that of a server; a proxy's is as good as no answer."""
    try:
        return json.loads(content)["error"].startswith("FL_ERR_")
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def error_text(content):
    try:
        error = json.loads(content)
        return f"{error['error']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return repr(content[:80])


def expect(status, wanted, what, content):
    if status not in wanted:
        raise Refused(f"{what}: {status} {error_text(content)}")


# Enrolment.


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def fetch_authority(url, fingerprint):
    """The root certificate, PEM, when its fingerprint is the pinned one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Wire(url, context) as wire:
        status, _, content = wire.ask("GET", "/v1/authority")
    expect(status, (200,), "authority", content)
    pem = content.decode()
    if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() != fingerprint.lower():
        raise Refused("the authority's certificate has another fingerprint; the token was not sent")
    return pem


def verified(root, chain=None, key=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(root)
    if chain:
        context.load_cert_chain(chain, key)
    return context


def enroll(folder, url, token, fingerprint, name=""):
    """Makes a key in folder and gets its certificate; the same call again is harmless. Returns the client id."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    root, key, chain = (os.path.join(folder, n) for n in ("root.pem", "key.pem", "chain.pem"))
    pem = fetch_authority(url, fingerprint)
    if not os.path.exists(key):
        write_durably(key, openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout"))
    csr = openssl("req", "-new", "-key", key, "-subj", "/CN=client", "-outform", "DER")
    write_durably(root, pem.encode())
    fields = {"token": token, "name": name, "csr": csr} if name else {"token": token, "csr": csr}
    with Wire(url, verified(root)) as wire:
        status, _, content = wire.ask("POST", "/v1/enroll", body=pack(**fields))
    expect(status, (200,), "enrolment", content)
    answer = unpack(content)
    write_durably(chain, answer["chain"])
    return answer["client"]


def renew(folder, url):
    """Gets a new certificate for the key in folder (R22). Returns the client id; open new connections afterwards."""
    root, key, chain = (os.path.join(folder, n) for n in ("root.pem", "key.pem", "chain.pem"))
    with Wire(url, verified(root, chain, key)) as wire:
        status, _, content = wire.ask("POST", "/v1/renew")
    expect(status, (200,), "renewal", content)
    answer = unpack(content)
    write_durably(chain, answer["chain"])
    return answer["client"]


def write_durably(path, data):
    with open(path + ".new", "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


# Taking part in a run (section 5).


class Client:
    """One enrolled client in one run. rows and held are lists of (features, label); folder is that of enroll().

    history holds (p, e, q, fate) of every judged update, for tests of R25; fate is "accepted", "folded" or "dropped".
    """

    def __init__(self, folder, url, run, rows, held=()):
        self.folder, self.run, self.rows, self.held = folder, run, rows, list(held)
        paths = [os.path.join(folder, n) for n in ("root.pem", "chain.pem", "key.pem")]
        self.wire = Wire(url, verified(*paths))
        self.history, self.verdicts = [], []
        status, _, content = self.wire.ask("GET", self.path())
        expect(status, (200,), "run", content)
        message = unpack(content)
        self.model = message["model"]
        self.learner = spec_model.Softmax(self.model)
        if not self.load():
            self.epoch, self.seq, self.outbox = message["epoch"], 0, None
            self.held_version, self.values = None, None
            self.residual = None
            self.folded_before, self.lost = False, 0
        if self.values is None:
            self.seeded(message)

    def path(self, rest=""):
        return f"/v1/runs/{self.run}{rest}"

    def seeded(self, message):
        """Takes x_0 by the seeded rule when that is what version 0 is (R18)."""
        values = spec_model.first_values(self.model)
        self.residual = self.residual or [0.0] * len(values)
        if message["version"][1] == 0 and spec_model.digest(values) == message["version"][2]:
            self.held_version, self.values = list(message["version"][:3]), values

    # State: one file, replaced as a whole, so that the outbox is durable before it is sent (R7).

    def state_path(self):
        return os.path.join(self.folder, f"{self.run}.state")

    def save(self):
        floats = {key: spec_model.pack(v) if v is not None else None for key, v in self.vectors().items()}
        state = {
            **floats,
            "epoch": self.epoch,
            "seq": self.seq,
            "outbox": self.outbox and {**self.outbox, **{k: spec_model.pack(self.outbox[k]) for k in ("p", "e_new")}},
            "held_version": self.held_version,
            "folded_before": self.folded_before,
            "lost": self.lost,
        }
        write_durably(self.state_path(), msgpack.packb(state))

    def vectors(self):
        return {"values": self.values, "residual": self.residual}

    def load(self):
        if not os.path.exists(self.state_path()):
            return False
        with open(self.state_path(), "rb") as file:
            state = msgpack.unpackb(file.read())
        for key in ("values", "residual"):
            state[key] = state[key] and spec_model.unpack(state[key])
        if state["outbox"]:
            for key in ("p", "e_new"):
                state["outbox"][key] = spec_model.unpack(state["outbox"][key])
        self.__dict__.update(state)
        return True

    # Work and model.

    def have(self):
        return f"have={version_text(self.held_version)}" if self.held_version else ""

    def poll(self, wait_ms=0):
        """("work", message), ("none", None) or ("ended", run message)."""
        query = "&".join(filter(None, (self.have(), f"wait={wait_ms}")))
        status, headers, content = self.wire.ask("GET", self.path(f"/work?{query}"), timeout=60 + wait_ms / 1000)
        expect(status, (200, 204, 410), "work", content)
        if status == 204:
            if "Retry-After" in headers:
                self.wire.back_off(float(headers["Retry-After"]))
            return "none", None
        return ("work", unpack(content)) if status == 200 else ("ended", unpack(content))

    def read_body(self, answer, into):
        """Appends the body of a model answer to into; raises one of LOST when the connection breaks before its end."""
        while True:
            part = answer.read(1 << 16)
            if not part:
                return
            into += part

    def fetch(self):
        """Brings the replica to the newest version: a delta when the server has one, else a snapshot, resumed by range."""
        query, body, tag = self.have(), bytearray(), None
        while True:
            headers = {"Range": f"bytes={len(body)}-", "If-Range": tag} if body else {}
            path = self.path("/model" + ("?" + query if query else ""))
            try:
                answer = self.wire.begin("GET", path, headers=headers)
                if answer.status == 416 or (answer.status == 200 and body):
                    body = bytearray()
                if answer.status == 416:
                    answer.read()
                    continue
                if answer.status == 204:
                    answer.read()
                    return
                if answer.status in (200, 206):
                    tag = answer.headers["ETag"]
                    ranges = answer.headers.get("Accept-Ranges") == "bytes"
                    self.read_body(answer, body)
                    break
                content = answer.read()
            except LOST:
                if body and not ranges:
                    body = bytearray()
                elif body:
                    query = ""  # the rest of a snapshot, whatever delta there may be by now
                self.wire.close()
                self.wire.back_off()
                continue
            if answer.status < 500:
                raise Refused(f"model: {answer.status} {error_text(content)}")
            self.wire.back_off(float(answer.headers.get("Retry-After", 0)))
        self.wire.attempt = 0
        message = unpack(bytes(body))
        if tag != f'"{version_text(message["b"])}"':
            raise ValueError("ETag and model differ")
        try:
            self.values = spec_model.receive(message, self.held_version, self.values)
        except ValueError:
            if self.held_version is None:
                raise
            self.held_version, self.values = None, None
            self.fetch()
            return
        self.held_version = list(message["b"][:3])
        self.save()
        self.received(message)

    def received(self, message):
        """For tests: a model message was applied."""

    # Training and sending.

    def prepare(self, work):
        """Trains as the work says and stores the outbox. False: the work's base is not to be had any more."""
        base = list(work["b"][:3])
        if base != self.held_version:
            self.fetch()
            if base != self.held_version:
                return False
        if work["q"] != self.seq + 1:
            raise Conflict(f"the server expects seq {work['q']}, this state has sent {self.seq}")
        start = self.values
        metrics = self.learner.evaluate(start, self.held)
        end, steps, loss = self.learner.train(start, self.rows, work["p"])
        delta = [f32(a - b) for a, b in zip(start, end)]
        if not all(map(math.isfinite, delta)):
            raise ValueError("training gave a value that is not finite")
        kind = work.get("k", TRAIN)
        head = {"k": kind} if kind else {}
        head |= {"r": work["r"], "b": base, "w": len(self.rows), "s": steps, "l": float(loss)}
        if kind == CALIBRATE:
            body = pack(**head, m=metrics, x=math.fsum(v * v for v in delta))
            self.outbox = {"seq": work["q"], "body": body, "kind": kind, "p": [], "e_new": []}
        else:
            p = [f32(a + b) for a, b in zip(delta, self.residual)]
            payload, q = self.compress(p, work["c"])
            e_new = [f32(a - b) for a, b in zip(p, q)]
            norm = f32(math.sqrt(math.fsum(v * v for v in e_new)))
            head |= {"n": norm} | ({"d": self.lost} if self.lost else {})
            body = pack(**head, m=metrics, p=payload)
            self.outbox = {"seq": work["q"], "body": body, "kind": kind, "p": p, "e_new": e_new}
        self.save()
        return True

    def compress(self, p, codec):
        """(payload, its decoded values)"""
        if codec["name"] != "parts":
            return self.compress_one(p, codec["name"], codec)
        parts, q = [], []
        for inputs, outputs in spec_model.layers(self.model):
            for size in (inputs * outputs, outputs):
                name = "dense" if size < codec["dense_below"] else codec["part"]
                part, values = self.compress_one(p[len(q) : len(q) + size], name, codec)
                parts.append((part, size))
                q += values
        return spec_payload.parts_encode(parts), q

    def compress_one(self, p, name, codec):
        if name == "dense":
            return spec_payload.encode(spec_payload.DENSE, len(p), dict(enumerate(p))), list(p)
        if name != "int-threshold":
            raise ValueError(f"codec {name}")
        k = codec.get("step", 0)
        shift = spec_payload.grid_shift(codec["lambda"], k)
        levels = spec_payload.int_threshold(p, codec["lambda"], k)
        payload = spec_payload.encode(spec_payload.INT_THRESHOLD, len(p), levels, k, shift)
        q = [0.0] * len(p)
        for i, level in spec_payload.decode(payload).values.items():
            q[i] = level * 2.0**k
        return payload, q

    def put(self, body):
        """(status, body) of the answer to the outbox."""
        status, _, content = self.wire.ask("PUT", self.path(f"/updates/{self.outbox['seq']}"), body=body)
        return status, content

    def send(self):
        """Sends the outbox until there is a verdict, and does what the verdict says. Returns the verdict."""
        body = self.outbox["body"]
        while True:
            status, content = self.put(body)
            verdict = self.verdict_of(status, content, hashlib.sha256(body).digest())
            if verdict:
                break
            if status == 400:
                raise Refused(f"update: {error_text(content)}")
            self.wire.back_off()
        self.verdicts.append(verdict)
        if verdict["k"] == CONFLICT:
            raise Conflict(verdict.get("m", ""))
        self.settle(verdict["k"])
        return verdict

    def verdict_of(self, status, content, digest):
        """The verdict in an answer, or None: only one that echoes the outbox counts (R4)."""
        try:
            verdict = unpack(content)
        except ValueError:
            return None
        if verdict.get("q") != self.outbox["seq"] or verdict.get("h") != digest:
            return None
        if status not in STATUS.get(verdict.get("k"), ()):
            return None
        if verdict["e"] != self.epoch and verdict["k"] != CONFLICT:
            return None
        return verdict

    def settle(self, kind):
        """After a terminal verdict: commit, fold or drop (section 5.3)."""
        outbox, fate = self.outbox, "accepted"
        if outbox["kind"] == TRAIN:
            e_old, p = self.residual, outbox["p"]
            q = [a - b for a, b in zip(p, outbox["e_new"])]
            if kind == ACCEPTED:
                self.residual, self.folded_before = outbox["e_new"], False
            elif not self.folded_before:
                self.residual, self.folded_before, fate = [f32(a + b) for a, b in zip(outbox["e_new"], q)], True, "folded"
            else:
                self.lost, fate = self.lost + 1, "dropped"
            self.history.append((p, e_old, q, fate))
        self.seq, self.outbox = outbox["seq"], None
        self.save()

    def take_part(self, wait_ms=2000):
        """Takes part until the run has ended; the replica is then the last version."""
        while True:
            if self.outbox:
                self.send()
                continue
            what, message = self.poll(wait_ms)
            if what == "ended":
                if list(message["version"][:3]) != self.held_version:
                    self.fetch()
                return message
            if what == "work" and self.prepare(message):
                self.send()
