#!/usr/bin/env python3
"""An HTTPS server that misbehaves on request, for test_client_http. Usage: http_peer.py DIR

DIR holds root.pem, server.pem (chain) and server.key. Prints its port on the first line. What it did to enrolments is
in DIR/enroll.log, one line each. The path says how it answers:
  /ok            200 "hello", and the common name of the client certificate after a space
  /echo          200 with the body of the request
  /status/N      N with a page of HTML;  with ?after=S a Retry-After
  /big           200 with 100000 bytes
  /cut/N         20000 bytes in all, with an ETag; each answer breaks off after N bytes, ranges are honoured
  /changed       breaks off after 5000 bytes; asked for the rest, has a newer thing from the start
  /gone          breaks off after 5000 bytes; asked for the rest, 416; asked afresh, all of it
  /hang          never answers
  /date/N        200, and the Date is N seconds since 1970
  /v1/renew      N and PAGE of DIR/renew.answer, "N PAGE"
  /v1/authority  DIR/root.pem;  /v1/enroll: first breaks off, then answers DIR/enroll.answer
"""
import email.utils, http.server, pathlib, socket, ssl, sys, time

DIR = pathlib.Path(sys.argv[1])
BODY = bytes(i * 7 % 251 for i in range(20000))
NEWER = bytes(i * 5 % 241 for i in range(8000))
seen = {"enroll": 0, "changed": 0, "gone": 0}


class Peer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=(), cut=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.wfile.flush()
        if cut is not None and cut < len(body):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def cut(self, body, etag, size):
        first = self.headers.get("Range")
        if first and self.headers.get("If-Range") == etag:
            at = int(first[len("bytes="):-1])
            extra = [("ETag", etag), ("Content-Range", f"bytes {at}-{len(body) - 1}/{len(body)}")]
            self.answer(206, body[at:], extra, size)
        else:
            self.answer(200, body, [("ETag", etag)], size)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        if path == "/ok":
            cert = self.connection.getpeercert() or {}
            name = "".join(v for rdn in cert.get("subject", ()) for k, v in rdn if k == "commonName")
            self.answer(200, b"hello " + name.encode())
        elif path == "/echo":
            self.answer(200, body)
        elif path.startswith("/status/"):
            extra = [("Retry-After", query[len("after="):])] if query else []
            self.answer(int(path[8:]), b"<html>no</html>", extra)
        elif path == "/big":
            self.answer(200, bytes(100000))
        elif path.startswith("/cut/"):
            self.cut(BODY, '"1.2.a"', int(path[5:]))
        elif path == "/changed":
            seen["changed"] += 1
            if seen["changed"] == 1:
                self.answer(200, BODY, [("ETag", '"1.2.a"')], 5000)
            else:
                self.answer(200, NEWER, [("ETag", '"1.3.b"')])
        elif path == "/gone":
            seen["gone"] += 1
            if seen["gone"] == 1:
                self.answer(200, BODY, [("ETag", '"1.2.a"')], 5000)
            elif self.headers.get("Range"):
                self.answer(416, b"")
            else:
                self.answer(200, NEWER)
        elif path.startswith("/date/"):
            self.date_time_string = lambda *_: email.utils.formatdate(int(path[6:]), usegmt=True)
            self.answer(200, b"")
        elif path == "/hang":
            time.sleep(60)
        elif path == "/v1/renew":
            status, _, page = (DIR / "renew.answer").read_text().partition(" ")
            self.answer(int(status), page.encode())
        elif path == "/v1/authority":
            self.answer(200, (DIR / "root.pem").read_bytes())
        elif path == "/v1/enroll":
            seen["enroll"] += 1
            with open(DIR / "enroll.log", "ab") as log:
                log.write(body.hex().encode() + b"\n")
            if seen["enroll"] == 1:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.answer(200, (DIR / "enroll.answer").read_bytes())
        else:
            self.answer(404, b"{}")

    do_GET = do_PUT = do_POST = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(DIR / "server.pem", DIR / "server.key")
context.load_verify_locations(DIR / "root.pem")
context.verify_mode = ssl.CERT_OPTIONAL
server = Server(("127.0.0.1", 0), Peer)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
