"""The three servers beside the gateway: upstream that echoes, a partner's callback endpoint, and a recorder of bytes."""

import base64
import itertools
import json
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class Server:
    """A threaded HTTP server on a free loopback port."""

    def __init__(self, handler):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return read_chunked(self.rfile)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, text, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Echo(Server):
    """Upstream: answers with the request it received, and counts what it served."""

    def __init__(self):
        self.served = 0
        server = self

        class EchoHandler(Handler):
            def echo(self):
                server.served += 1
                body = base64.b64encode(self.body()).decode()
                seen = {"method": self.command, "target": self.path, "headers": self.headers.items(), "body": body}
                self.answer(json.dumps(seen).encode())

            do_GET = do_POST = do_PUT = do_DELETE = echo

        super().__init__(EchoHandler)


class Callback(Server):
    """A partner's endpoint: hands on each verifier POST, and answers it when the gate is open."""

    def __init__(self):
        received = self.received = queue.Queue()
        gate = self.gate = threading.Event()

        class CallbackHandler(Handler):
            def do_POST(self):
                fields = {name: values[0] for name, values in parse_qs(self.body().decode()).items()}
                received.put((self.path, self.headers.get("Content-Type"), fields))
                gate.wait(60)
                self.answer(b"", "text/plain")

        super().__init__(CallbackHandler)


class Recorded:
    """One request as it was sent."""

    def __init__(self, raw, method, target, body):
        self.raw, self.method, self.target, self.body = raw, method, target, body


class Stream:
    """What one connection carried, and when (`marks`: offset, place in the order of all that was received)."""

    def __init__(self):
        self.data, self.marks = bytearray(), []

    def add(self, data, order):
        self.marks.append((len(self.data), order))
        self.data += data

    def order(self, offset):
        return max(order for at, order in self.marks if at <= offset)


class Recorder:
    """A plain TCP relay to the gateway. It changes nothing and keeps what clients send, connection by connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.gateway = None
        self.streams = []
        self.order = itertools.count()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            gateway = socket.create_connection(self.gateway)
            stream = Stream()
            self.streams.append(stream)
            keep = lambda data, stream=stream: stream.add(data, next(self.order))
            threading.Thread(target=relay, args=(client, gateway, keep), daemon=True).start()
            threading.Thread(target=relay, args=(gateway, client, lambda _: None), daemon=True).start()

    def take(self):
        """The requests since the last call, in the order in which they came."""
        streams, self.streams = self.streams, []
        found = [(stream.order(offset), one) for stream in streams for offset, one in requests(bytes(stream.data))]
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    def close(self):
        self.listener.close()


def relay(source, sink, keep):
    try:
        while data := source.recv(65536):
            keep(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            one.close()


def requests(stream):
    """Splits what one connection carried into its requests, each with its offset."""
    offset = 0
    while offset < len(stream):
        head, _, rest = stream[offset:].partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            reader = Reader(rest)
            body = read_chunked(reader)
            length = reader.at
        else:
            length = int(headers.get("content-length", 0))
            body = rest[:length]
        taken = len(head) + 4 + length
        yield offset, Recorded(stream[offset : offset + taken], method, target, body)
        offset += taken


class Reader:
    """Reads bytes as a file is read."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def readline(self):
        end = self.data.index(b"\n", self.at) + 1
        line, self.at = self.data[self.at : end], end
        return line

    def read(self, count):
        piece, self.at = self.data[self.at : self.at + count], self.at + count
        return piece


def read_chunked(file):
    body = b""
    while size := int(file.readline().split(b";")[0], 16):
        body += file.read(size)
        file.readline()
    while file.readline().strip():
        pass
    return body
