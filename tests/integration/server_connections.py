"""Slow, many and rude connections: what is ended, what is refused, and that everybody else is served meanwhile. Each limit is also
shown from its other side: with a wider one the same peers are left alone."""
import http.client
import os
import pathlib
import re
import socket
import ssl
import struct
import threading
import time
import unittest

from deployment import PROGRAM, Deployment, create_run, run, wait_until

HELLO = bytes.fromhex("1603010200010001fc0303")  # the first 11 bytes of a ClientHello
UPDATE = "/v1/runs/digits/updates/1"
SANITIZED = b"__asan_init" in pathlib.Path(PROGRAM).read_bytes()


def head(size, more=""):
    return f"PUT {UPDATE} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{more}\r\n".encode()


def is_open(peer):
    """Whether the other side has kept a connection on which it has nothing to say."""
    peer.settimeout(0.001)
    try:
        return peer.recv(1) != b""
    except (TimeoutError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Deployment(token_uses=100).start()
        cls.addClassCleanup(cls.server.close)
        cls.client = cls.server.enrolled()
        cls.other = cls.server.enrolled()
        create_run(cls.server)

    def restart(self, *options):
        if self.server.process:
            self.server.stop()
        self.server.start(*options)

    def raw(self, source="127.0.0.1"):
        peer = socket.create_connection(("127.0.0.1", self.server.port), timeout=60, source_address=(source, 0))
        self.addCleanup(peer.close)
        return peer

    def tls(self, identity, source="127.0.0.1"):
        peer = self.server.context(identity).wrap_socket(self.raw(source), server_hostname="127.0.0.1")
        self.addCleanup(peer.close)
        return peer

    def promised(self, identity, size):
        """A connection that may send a body of this size."""
        peer = self.tls(identity)
        peer.sendall(head(size, "Expect: 100-continue\r\n"))
        peer.settimeout(60)
        self.assertTrue(peer.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n"))
        return peer

    def tls_opens(self, source):
        try:
            return is_open(self.tls(self.client, source))
        except OSError:
            return False

    def status(self, peer):
        """Of the answer that comes on a connection, with its headers and body."""
        peer.settimeout(60)
        response = http.client.HTTPResponse(peer)
        response.begin()
        return response.status, response.headers, response.read()

    def put(self, identity, body):
        return self.server.request("PUT", UPDATE, body, identity)

    def served(self):
        """A newcomer gets an answer, if not at the first try."""
        def alive():
            try:
                return self.server.alive()
            except OSError:
                return False
        return wait_until(alive)

    def log(self):
        return (self.server.folder / "log").read_text()

    # ---- slow ones ----

    def drip(self, peer, pieces, pause, results, name):
        try:
            for piece in pieces:
                peer.sendall(piece)
                time.sleep(pause)
                if not is_open(peer):
                    break
            results[name] = "open" if is_open(peer) else "ended"
        except OSError:
            results[name] = "ended"

    def drips(self, seconds):
        """What became of peers that send a byte now and then, or nothing at all, for that long."""
        def trickle(first, count=int(seconds / 0.1)):
            return [first] + [b"a"] * count
        results = {}
        peers = {"handshake, silent": (self.raw(), [b""] * int(seconds / 0.1)),
                 "handshake, byte by byte": (self.raw(), trickle(HELLO)),
                 "head, silent": (self.tls(self.client), [b""] * int(seconds / 0.1)),
                 "head, byte by byte": (self.tls(self.client), trickle(b"GET /v1/runs HTTP/1.1\r\nX-Slow: ")),
                 "head of a stranger": (self.tls(None), trickle(b"GET /v1/health HTTP/1.1\r\nX-Slow: ")),
                 "body, byte by byte": (self.tls(self.client), trickle(head(5000000))),
                 "body, a burst and then a trickle": (self.tls(self.other), trickle(head(5000000) + b"b" * 4000000))}
        threads = [threading.Thread(target=self.drip, args=(peer, pieces, 0.1, results, name))
                   for name, (peer, pieces) in peers.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_slow_ones_are_ended_and_an_honest_slow_uplink_is_not(self):
        self.restart("--timeouts.handshake-ms", "5000", "--timeouts.head-ms", "5000", "--timeouts.body-ms", "8000",
                     "--timeouts.min-rate", "2000")
        uploader, answers = self.server.enrolled(), []

        def honest():  # takes longer than body_ms, at ten times the least rate
            peer = self.tls(uploader)
            peer.sendall(head(100000))
            for _ in range(25):
                peer.sendall(bytes(4000))
                time.sleep(0.4)
            answers.append(self.status(peer)[0])
        uplink = threading.Thread(target=honest)
        uplink.start()
        results = self.drips(20)
        uplink.join()
        self.assertEqual(results, dict.fromkeys(results, "ended"))
        self.assertEqual(answers, [400])  # read to its end, and then found to be no message
        self.assertIn("too slow, connection closed", self.log())
        self.assertTrue(self.served())

    def test_with_wide_deadlines_the_same_ones_are_left_alone(self):
        wide = [word for name in ("handshake", "head", "body") for word in (f"--timeouts.{name}-ms", "600000")]
        self.restart(*wide)
        results = self.drips(3)
        self.assertEqual(results, dict.fromkeys(results, "open"))

    def works(self):
        """Whether a thread of the server is running at this moment, or waits for a processor."""
        tasks = pathlib.Path(f"/proc/{self.server.process.pid}/task").iterdir()
        return any((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "R" for task in tasks)

    def test_stalled_handshakes_keep_no_thread_busy(self):
        self.restart("--timeouts.handshake-ms", "600000")
        files = self.resources()[0]
        for _ in range(50):
            self.raw().sendall(HELLO)
        self.assertTrue(wait_until(lambda: self.resources()[0] >= files + 50))

        def rests():  # a thread that spins is never found at rest, however loaded the machine
            samples = []
            for _ in range(40):
                samples.append(self.works())
                time.sleep(0.02)
            return sum(samples) <= 10
        self.assertTrue(wait_until(rests))
        self.assertTrue(self.served())

    # ---- many ----

    def stay(self, peers):
        """How many are kept after the server has had time to refuse the others."""
        time.sleep(1)
        return sum(is_open(peer) for peer in peers)

    def test_an_address_has_so_many_strangers(self):
        for limit, stay in (("6", 6), ("256", 20)):
            self.restart("--listen.strangers-per-address", limit, "--timeouts.handshake-ms", "600000")
            peers = [self.raw("127.0.0.3") for _ in range(20)]
            self.assertTrue(wait_until(lambda: self.stay(peers) == stay))
            self.assertTrue(self.served())  # another address is served
            for peer in peers:
                peer.close()
            self.assertTrue(wait_until(lambda: self.tls_opens("127.0.0.3")))
        self.assertIn("address=::ffff:127.0.0.3 limit=listen.strangers_per_address", self.log())

    def test_an_address_has_so_many_connections(self):
        for limit, stay in (("5", 5), ("2048", 8)):
            self.restart("--listen.per-address", limit, "--timeouts.head-ms", "600000")
            peers = []
            for _ in range(8):
                try:
                    peers.append(self.tls(self.client, "127.0.0.3"))
                except OSError:
                    pass
            self.assertEqual(self.stay(peers), stay)
            self.assertTrue(self.served())

    def test_all_together_are_so_many(self):
        self.restart("--listen.connections", "16", "--listen.strangers", "8", "--timeouts.head-ms", "600000")
        peers = [self.tls(self.client) for _ in range(16)]
        with self.assertRaises(OSError):
            self.tls(self.client, "127.0.0.2").unwrap()
        self.assertIn("limit=listen.connections", self.log())
        self.assertEqual(self.stay(peers), 16)
        peers.pop().close()
        self.assertTrue(wait_until(lambda: self.stay(peers) == 15 and self.served()))

    def test_strangers_do_not_shut_enrolled_clients_out(self):
        self.restart("--listen.strangers", "10", "--timeouts.handshake-ms", "600000", "--timeouts.head-ms",
                     "600000")
        strangers = [self.raw("127.0.0.9") for _ in range(30)]
        self.assertTrue(wait_until(lambda: self.stay(strangers) == 10))
        members = [self.tls(self.client) for _ in range(12)]  # each pushes one of the strangers out, and then counts among the known
        self.assertEqual(self.stay(members), 12)
        self.assertLess(self.stay(strangers), 10)
        more = [self.raw("127.0.0.9") for _ in range(30)]
        self.assertLessEqual(self.stay(strangers + more), 10)
        self.assertEqual(self.stay(members), 12)

    def test_limits_that_contradict_each_other_are_refused(self):
        self.server.stop()
        for option, value, names in (("--listen.strangers", "4096", "listen.connections"),
                                     ("--limits.update-bytes", "2GiB", "limits.in_flight_bytes")):
            done = run(PROGRAM, "serve", "--config", self.server.dir / "server.yaml", option, value, expect=3)
            self.assertIn(names, done.stderr)
        self.server.start()

    # ---- rude ones ----

    def resources(self):
        process = pathlib.Path(f"/proc/{self.server.process.pid}")
        rss = int(re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text()).group(1))
        return len(list((process / "fd").iterdir())), rss

    def drop_some(self, count):
        """Connections that reset at once, that say nothing, that send garbage, and that break off in the middle of a handshake."""
        for i in range(count):
            try:
                peer = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
                if i % 2:
                    peer.sendall((HELLO, b"GET / HTTP/1.1\r\n\r\n" * 40, os.urandom(600), HELLO + bytes(501))[i // 2 % 4])
                if i % 3:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
            except OSError:
                pass  # refused or reset first

    def test_thousands_of_dropped_connections_leave_nothing_behind(self):
        self.restart("--timeouts.handshake-ms", "2000")
        self.drop_some(500)
        self.assertTrue(self.served())
        files, before = self.resources()
        self.drop_some(2500)
        self.assertTrue(wait_until(lambda: self.served() and self.resources()[0] <= files))
        if not SANITIZED:  # which keeps freed memory; it finds leaks itself, at the end
            self.assertLess(self.resources()[1] - before, 8 * 1024)

    # ---- bodies ----

    def test_413_names_the_limit(self):
        self.restart("--limits.update-bytes", "65536")
        answer = self.put(self.client, bytes(65537))
        self.assertEqual((answer.status, answer.json()["limit_bytes"]), (413, 65536))
        self.assertIn("limits.update_bytes", answer.json()["hint"])
        peer = self.tls(self.client)  # told before the body is sent
        peer.sendall(head(5000000, "Expect: 100-continue\r\n"))
        self.assertEqual(self.status(peer)[0], 413)
        self.assertEqual(self.put(self.client, bytes(65536)).status, 400)
        self.restart()
        self.assertEqual(self.put(self.client, bytes(65537)).status, 400)

    def test_bodies_share_one_budget_that_promises_count_for(self):
        self.restart("--limits.update-bytes", "1MiB", "--limits.in-flight-bytes", "1MiB")
        before = self.resources()[1]
        first = self.promised(self.client, 1000000)  # of which nothing comes yet
        answer = self.put(self.other, bytes(100))
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
        if not SANITIZED:
            self.assertLess(self.resources()[1] - before, 900)  # a promise takes no memory
        self.assertEqual(self.server.request("GET", "/v1/runs", None, self.client).status, 200)
        peer = self.tls(self.other)  # asked first, told before the body is sent
        peer.sendall(head(100000, "Expect: 100-continue\r\n"))
        self.assertEqual(self.status(peer)[0], 503)
        first.sendall(bytes(1000000))
        self.assertEqual(self.status(first)[0], 400)
        self.assertTrue(wait_until(lambda: self.put(self.other, bytes(100)).status == 400))

    def test_expect_100_continue_is_answered(self):
        peer = self.promised(self.client, 10)
        peer.sendall(bytes(10))
        self.assertEqual(self.status(peer)[0], 400)

    def test_a_client_sends_one_body_at_a_time(self):
        first, stranger = self.tls(self.client), self.tls(self.other)
        for peer in (first, stranger):
            peer.sendall(head(1000000) + bytes(1000))
        self.assertTrue(wait_until(lambda: self.put(self.client, bytes(100)).status == 400 and not is_open(first)))
        self.assertTrue(is_open(stranger))

    def test_enrolment_has_a_rate_of_its_own(self):
        self.restart("--limits.enrolments-per-minute", "3")
        answers = [self.server.request("POST", "/v1/enroll", b"x") for _ in range(4)]
        self.assertEqual([answer.status for answer in answers], [400, 400, 400, 429])
        self.assertIn(int(answers[3].headers["Retry-After"]), range(1, 21))
        self.assertTrue(self.served())
        self.assertEqual(self.server.request("GET", "/v1/runs", None, self.client).status, 200)
        self.restart()
        self.assertEqual([self.server.request("POST", "/v1/enroll", b"x").status for _ in range(4)], [400] * 4)


if __name__ == "__main__":
    unittest.main()
