"""What the listeners do with wrong, slow, large and random input: a clear answer, nothing lost, the server alive."""
import http.client
import random
import socket
import ssl
import threading
import time
import unittest

import msgpack

from deployment import MSGPACK, Deployment, create_run, wait_until


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Deployment().start("--limits.update-bytes", "65536")
        cls.addClassCleanup(cls.server.close)
        cls.client = cls.server.enrolled()
        create_run(cls.server)

    def get(self, path, headers=MSGPACK, method="GET", body=None):
        return self.server.request(method, path, body, self.client, headers)

    def check_error(self, answer, status, error):
        self.assertEqual((answer.status, answer.json()["error"]), (status, error))
        self.assertTrue(answer.json()["message"])

    def test_paths_and_methods(self):
        self.check_error(self.get("/"), 404, "FL_ERR_NOT_FOUND")
        self.check_error(self.get("/v1/nothing"), 404, "FL_ERR_NOT_FOUND")
        self.check_error(self.get("/v1/runs/absent"), 404, "FL_ERR_NOT_FOUND")
        self.check_error(self.get("/v1/runs/.hidden"), 400, "FL_ERR_FORMAT")
        self.check_error(self.get("/v1/runs/digits/updates/01", method="PUT", body=b"x"), 400, "FL_ERR_FORMAT")
        for method, path, allow in (("POST", "/v1/runs", "GET"), ("DELETE", "/v1/runs/digits", "GET"), ("GET", "/v1/enroll", "POST"),
                                    ("GET", "/v1/runs/digits/updates/1", "PUT")):
            answer = self.get(path, method=method)
            self.check_error(answer, 405, "FL_ERR_STATE")
            self.assertEqual(answer.headers["Allow"], allow)

    def test_another_major_version(self):
        answer = self.get("/v2/runs")
        self.check_error(answer, 404, "FL_ERR_VERSION")
        self.assertIn("version 1", answer.json()["message"])

    def test_queries(self):
        for path in ("work?have=1", "work?wait=-1", "work?wait=x", "work?wait=", "work?wait=18446744073709551616", "model?have=1.2.zz"):
            self.check_error(self.get(f"/v1/runs/digits/{path}"), 400, "FL_ERR_FORMAT")
        self.assertEqual(self.get("/v1/runs/digits/work?wait=18446744073709551615").status, 200)  # work is there; else at most a minute

    def test_json_unless_msgpack_is_accepted(self):
        answer = self.get("/v1/runs/digits", headers={"Accept": "*/*"})
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        run = answer.json()
        self.assertEqual((run["name"], run["model"]["inputs"], run["model"]["hidden"]), ("digits", 4, [5]))
        answer = self.get("/v1/runs/digits")
        self.assertEqual(answer.headers["Content-Type"], "application/msgpack")
        self.assertEqual(answer.msgpack()["name"], "digits")
        self.assertEqual(self.get("/v1/runs").msgpack()["runs"][0]["name"], "digits")

    def test_model_with_ranges(self):
        whole = self.get("/v1/runs/digits/model")
        self.assertEqual(whole.status, 200)
        tag, total = whole.headers["ETag"], len(whole.body)
        self.assertEqual(whole.msgpack()["d"], 4 * 5 + 5 + 5 * 3 + 3)
        cases = (("bytes=10-", {}, 206, whole.body[10:]), ("bytes=0-4", {}, 206, whole.body[:5]), ("bytes=-7", {}, 206, whole.body[-7:]),
                 ("bytes=0-99999999", {}, 206, whole.body), ("bytes=10-", {"If-Range": tag}, 206, whole.body[10:]),
                 ("bytes=10-", {"If-Range": '"other"'}, 200, whole.body), ("bytes=4-2", {}, 200, whole.body),
                 ("lines=1-2", {}, 200, whole.body), ("bytes=1-2,4-5", {}, 200, whole.body), (f"bytes={total}-", {}, 416, b""))
        for header, more, status, body in cases:
            answer = self.get("/v1/runs/digits/model", headers={**MSGPACK, "Range": header, **more})
            self.assertEqual((header, answer.status), (header, status))
            self.assertEqual(answer.body, body)
            if status == 416:
                self.assertEqual(answer.headers["Content-Range"], f"bytes */{total}")
        answer = self.get("/v1/runs/digits/model", headers={**MSGPACK, "Range": "bytes=10-19"})
        self.assertEqual(answer.headers["Content-Range"], f"bytes 10-19/{total}")
        held = tag.strip('"')
        self.assertEqual(self.get(f"/v1/runs/digits/model?have={held}").status, 204)

    def test_malformed_updates_are_no_verdicts(self):
        for body in (b"", b"\x00", b"\x81", b"\xdf\xff\xff\xff\xff", b"\x91" * 2000, random.Random(1).randbytes(3000),
                     msgpack.packb({"v": 1}), msgpack.packb({"v": 1, "r": float("nan")})):
            answer = self.get("/v1/runs/digits/updates/1", method="PUT", body=body)
            self.assertEqual(answer.status, 400, body[:20])
        self.check_error(self.get("/v1/runs/digits/updates/1", method="PUT", body=msgpack.packb({"v": 2})), 400, "FL_ERR_VERSION")

    def test_oversized_bodies(self):
        self.check_error(self.get("/v1/runs/digits/updates/1", method="PUT", body=bytes(65537)), 413, "FL_ERR_LIMIT")
        self.check_error(self.server.request("POST", "/v1/enroll", bytes(16385)), 413, "FL_ERR_LIMIT")
        self.check_error(self.get("/v1/runs", body=b"x"), 413, "FL_ERR_LIMIT")
        chunks = (bytes(10000) for _ in range(10))
        self.check_error(self.get("/v1/runs/digits/updates/1", method="PUT", body=chunks), 413, "FL_ERR_LIMIT")
        self.assertTrue(self.server.alive())

    def test_oversized_body_with_expect_is_refused_before_it_is_sent(self):
        big = self.server.folder / "big"
        big.write_bytes(bytes(5000000))
        done = self.server.curl("/v1/runs/digits/updates/1", self.client, "-T", str(big), "-H", "Expect: 100-continue", "-w",
                                "\n%{http_code} %{size_upload}")
        self.assertIn("413 0", done.stdout, done.stderr)

    def test_kept_connection_serves_many_requests(self):
        connection = self.server.connect(self.client)
        self.addCleanup(connection.close)
        connection.connect()
        first = connection.sock
        for path in ("/v1/runs", "/v1/nothing", "/v1/health", "/v1/runs/digits", "/v1/runs/digits/model"):
            connection.request("GET", path, headers=MSGPACK)
            connection.getresponse().read()
            self.assertIs(connection.sock, first)

    def waiting(self, run):
        return self.server.command_json("run", "status", run)["runs"][0]["waiting"]

    def test_R15_long_poll_is_held_and_a_new_one_of_the_same_client_displaces_it(self):
        create_run(self.server, "idle")
        taken = self.server.request("GET", "/v1/runs/idle/work?wait=20000", None, self.server.enrolled())
        self.assertEqual(taken.status, 200)  # the only place of round 1
        answers = {}

        def poll(name, wait):
            answers[name] = self.get(f"/v1/runs/idle/work?wait={wait}").status
        first = threading.Thread(target=poll, args=("first", 60000))
        first.start()
        self.assertTrue(wait_until(lambda: self.waiting("idle") == 1))
        self.assertEqual(answers, {})
        poll("second", 300)
        first.join(30)
        self.assertEqual(answers, {"first": 409, "second": 204})

    def test_waiting_peers_are_answered_when_the_server_stops(self):
        server = Deployment().start()
        create_run(server, "idle")
        self.assertEqual(server.request("GET", "/v1/runs/idle/work?wait=20000", None, server.enrolled()).status, 200)
        connection = server.connect(server.enrolled())
        connection.request("GET", "/v1/runs/idle/work?wait=60000", headers=MSGPACK)
        wait_until(lambda: server.command_json("run", "status", "idle")["runs"][0]["waiting"] == 1)
        server.close()
        response = connection.getresponse()
        self.assertEqual(response.status, 503)
        self.assertTrue(response.headers["Retry-After"])
        connection.close()

    def test_peer_that_leaves_while_it_waits_is_noticed(self):
        create_run(self.server, "left")
        self.assertEqual(self.server.request("GET", "/v1/runs/left/work?wait=20000", None, self.server.enrolled()).status, 200)
        connection = self.server.connect(self.client)
        connection.request("GET", "/v1/runs/left/work?wait=60000", headers=MSGPACK)
        self.assertTrue(wait_until(lambda: self.waiting("left") == 1))
        connection.close()
        self.assertTrue(wait_until(lambda: self.waiting("left") == 0))

    def test_random_bytes(self):
        source = random.Random(7)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as raw:
                raw.sendall(source.randbytes(source.randrange(1, 5000)))
        context = self.server.context(self.client)
        for line in (b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n\r\n",
                     b"PUT /v1/runs/digits/updates/1 HTTP/1.1\r\nHost: x\r\nContent-Length: banana\r\n\r\n",
                     b"PUT /v1/runs/digits/updates/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                     b"PUT /v1/runs/digits/updates/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"GET /v1/runs/%00%ff HTTP/1.1\r\nHost: x\r\n\r\n", source.randbytes(3000)):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as raw:
                with context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                    tls.sendall(line)
                    tls.settimeout(0.2)
                    try:
                        tls.recv(4096)
                    except OSError:
                        pass
        self.assertTrue(self.server.alive())

    def test_slow_requests_are_ended_by_an_absolute_deadline(self):
        """One byte every 100 ms never rests long enough for a timeout of inactivity."""
        server = Deployment().start("--timeouts.head-ms", "3000")
        self.addCleanup(server.close)
        client = server.enrolled()
        endings = []

        def drip(wrap, data):
            raw = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            peer = server.context(client).wrap_socket(raw, server_hostname="127.0.0.1") if wrap else raw
            try:
                for byte in data:
                    peer.sendall(bytes([byte]))
                    time.sleep(0.1)
                endings.append("never")
            except OSError:
                endings.append("ended")
            finally:
                peer.close()
        hello = bytes.fromhex("1603010200010001fc0303") + bytes(600)
        head = b"GET /v1/runs HTTP/1.1\r\nX-Slow: " + b"a" * 600
        body = b"PUT /v1/runs/digits/updates/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"b" * 600
        drips = [threading.Thread(target=drip, args=a) for a in ((False, hello), (True, head), (True, body))]
        for thread in drips:
            thread.start()
        self.assertTrue(server.alive())
        for thread in drips:
            thread.join(90)
        self.assertEqual(endings, ["ended"] * 3)

    def test_admin_needs_its_token(self):
        self.check_error(self.server.admin("GET", "/v1/runs"), 401, "FL_ERR_AUTH")
        self.check_error(self.server.admin("GET", "/v1/runs", token="0" * 64), 401, "FL_ERR_AUTH")
        self.check_error(self.server.admin("GET", "/v1/runs", token="0"), 401, "FL_ERR_AUTH")
        token = self.server.admin_token()
        self.assertEqual(self.server.admin("GET", "/v1/runs", token=token).status, 200)
        self.check_error(self.server.admin("GET", "/v1/other", token=token), 404, "FL_ERR_NOT_FOUND")
        self.check_error(self.server.admin("DELETE", "/v1/runs", token=token), 405, "FL_ERR_STATE")
        for body in (b"", b"{", b"[]", b'{"uses":0,"ttl_ms":5}', b'{"uses":1}', b'{"uses":1,"uses":2,"ttl_ms":5}'):
            self.assertEqual(self.server.admin("POST", "/v1/tokens", body, token).status, 400, body)
        self.assertEqual(self.server.admin("POST", "/v1/runs", b'{"spec":"name: x"}', token).status, 400)
        self.check_error(self.server.admin("POST", "/v1/runs", bytes(1 << 20), token), 413, "FL_ERR_LIMIT")
        mode = (self.server.dir / "admin.sock").stat().st_mode & 0o777
        self.assertEqual((mode, (self.server.dir / "admin.token").stat().st_mode & 0o777), (0o600, 0o600))


if __name__ == "__main__":
    unittest.main()
