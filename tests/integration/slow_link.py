"""A slow and unreliable way to a server: forwards TCP to it, downwards at so many bytes a second, and breaks each connection off
after so many bytes."""
import socket
import threading
import time

BLOCK = 16384


class SlowLink:
    def __init__(self, port, rate, cut):
        self.target, self.rate, self.cut = port, rate, cut
        self.down = 0  # bytes so far, of all connections
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.closed = True
        self.listener.close()

    def accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                continue
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BLOCK)  # or the kernel's buffers would hold much of the body
            self.connections += 1
            threading.Thread(target=self.upwards, args=(client, server), daemon=True).start()
            threading.Thread(target=self.downwards, args=(client, server), daemon=True).start()

    @staticmethod
    def end(*sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def upwards(self, client, server):
        try:
            while data := client.recv(BLOCK):
                server.sendall(data)
        except OSError:
            pass
        self.end(client, server)

    def downwards(self, client, server):
        left = self.cut
        try:
            while left > 0 and (data := server.recv(min(BLOCK, left))):
                client.sendall(data)
                self.down += len(data)
                left -= len(data)
                time.sleep(len(data) / self.rate)
        except OSError:
            pass
        self.end(client, server)
