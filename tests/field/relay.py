"""What stands between clients and a server: a relay of raw bytes that disturbs them, and proxies that speak HTTP."""
import hashlib
import http.client
import http.server
import socket
import ssl
import struct
import threading
import time

HTML = b"<!DOCTYPE html><html><body><h1>Welcome to this network</h1><p>Please sign in.</p></body></html>\n"
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST, as a middlebox does that has forgotten a connection
QUIET = 0.15  # seconds without a byte: what was being sent is over


class Relay:
    """127.0.0.x:port -> 127.0.0.1:target, byte for byte, until told otherwise.

    drops   this many next connections are ended as soon as they are accepted
    stalls  True: nothing goes either way
    slow    True: one byte at a time
    """

    def __init__(self, target, address="127.0.0.1", port=0):
        self.target, self.drops, self.dropped, self.stalls, self.slow = target, 0, 0, False, False
        self.cut, self.cuts, self.trigger = None, 0, lambda: False
        self.lock, self.open, self.held = threading.Lock(), set(), set()
        self.listener = socket.create_server((address, port), backlog=256)
        self.address, self.port = self.listener.getsockname()
        self.url = f"https://{self.address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, cut, trigger):
        """The next bytes that a client sends while trigger() holds go as far as `cut` says, then the connection is ended: a number
        of bytes (negative: all but so many), "answer": all of them, and the answer is lost, "reset": likewise by RST. "hold": none, and
        the connection stays as it is."""
        with self.lock:
            self.trigger, self.cut = trigger, cut

    def close(self):
        self.listener.close()
        with self.lock:
            peers = list(self.open)
        for peer in peers:
            self._end(peer)

    def end_all(self):
        """Ends every connection that is open now."""
        with self.lock:
            peers = list(self.open)
        for peer in peers:
            self._end(peer)

    # ---- threads ----

    @staticmethod
    def _end(peer):
        try:
            peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.drops > 0:
                self.drops, self.dropped = self.drops - 1, self.dropped + 1
                if self.dropped % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for peer in (client, server):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open |= {client, server}
        down = threading.Thread(target=self._copy, args=(server, client), daemon=True)
        down.start()
        self._copy(client, server, upwards=True)
        down.join()
        with self.lock:
            self.open -= {client, server}
        for peer in (client, server):
            peer.close()

    def _takes_cut(self):
        """The cut that is due now, for one connection only."""
        with self.lock:
            if self.cut is None or not self.trigger():
                return None
            cut, self.cut = self.cut, None
            return cut

    def _copy(self, source, target, upwards=False):
        try:
            while data := source.recv(65536):
                while self.stalls or (not upwards and target in self.held):
                    time.sleep(0.02)
                cut = self._takes_cut() if upwards else None
                if cut is not None:
                    self._cut_off(source, target, data, cut)
                    break
                for piece in ([bytes([byte]) for byte in data] if self.slow else [data]):
                    target.sendall(piece)
        except OSError:
            pass
        self._end(source)
        self._end(target)

    def _cut_off(self, source, target, data, cut):
        source.settimeout(QUIET)
        try:
            while more := source.recv(65536):
                data += more
        except TimeoutError:
            pass
        if cut == "hold":
            self.cuts += 1
            source.settimeout(None)
            source.recv(1)
        elif isinstance(cut, int):
            target.sendall(data[:cut if cut >= 0 else len(data) + cut])
        else:
            self.held.add(source)  # the answer stays here
            target.sendall(data)
            time.sleep(2 * QUIET)
            if cut == "reset":
                source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                source.close()
            else:
                self._end(source)
            self.held.discard(source)
        self.cuts += cut != "hold"


class Proxy:
    """An HTTP server with a certificate (or none) that answers by itself or, where answer() gives None, as the server does, which
    it asks as a client with this identity: what an operator's own reverse proxy could do."""

    def __init__(self, answer, port=0, chain=None, target=None, root=None, identity=None):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path.partition("?")[0], hashlib.sha256(body).hexdigest()))
                status, headers, text = proxy.answer(self.command, self.path) or proxy.forward(self.command, self.path, body, self.headers)
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that refuse the certificate, or are killed

        self.answer, self.target, self.identity, self.root, self.seen = answer, target, identity, root, []
        self.server = Server(("127.0.0.1", port), Handler, bind_and_activate=False)
        self.server.allow_reuse_address = True
        self.server.server_bind()
        self.server.server_activate()
        self.port = self.server.server_address[1]
        if chain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, chain))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def forward(self, method, path, body, headers):
        context = ssl.create_default_context(cafile=str(self.root))
        context.load_cert_chain(*map(str, self.identity))
        connection = http.client.HTTPSConnection("127.0.0.1", self.target, timeout=60, context=context)
        kept = {name: headers[name] for name in ("Content-Type", "Accept", "Range", "If-Range") if name in headers}
        try:
            connection.request(method, path, body=body or None, headers=kept)
            response = connection.getresponse()
            text = response.read()
            kept = {name: response.headers[name] for name in ("Content-Type", "Retry-After", "ETag", "Content-Range", "Date")
                    if name in response.headers}
            return response.status, kept, text
        except OSError:
            return 502, {"Content-Type": "text/html"}, HTML
        finally:
            connection.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def page(status):
    """The page of a proxy that knows nothing of us."""
    return status, {"Content-Type": "text/html"}, HTML
