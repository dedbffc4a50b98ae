"""Stands between a client and a server and measures what the server sends, frame by frame.

HTTP/2 is read as far as needed: frames have nine bytes of header, DATA frames carry gRPC messages,
and those begin with a flag and their length. The client must not use TLS.
"""

import socket
import threading

FRAME_HEADER = 9
DATA = 0
PADDED = 8


class Tap:
    """One listener; figures are those of all connections so far."""

    def __init__(self, port):
        self.bytes = 0
        self.largest_message = 0
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"grpc://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            reader = _Frames(self)
            for source, sink, see in ((client, server, None), (server, client, reader.feed)):
                threading.Thread(target=_pump, args=(source, sink, see), daemon=True).start()


def _pump(source, sink, see):
    try:
        while data := source.recv(1 << 18):
            if see:
                see(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class _Frames:
    """The frames of one direction of one connection."""

    def __init__(self, tap):
        self._tap = tap
        self._rest = bytearray()
        self._streams = {}

    def feed(self, data):
        self._tap.bytes += len(data)
        self._rest += data
        at = 0
        while len(self._rest) - at >= FRAME_HEADER:
            length = int.from_bytes(self._rest[at : at + 3])
            if len(self._rest) - at < FRAME_HEADER + length:
                break
            kind, flags = self._rest[at + 3], self._rest[at + 4]
            stream = int.from_bytes(self._rest[at + 5 : at + 9])
            payload = self._rest[at + FRAME_HEADER : at + FRAME_HEADER + length]
            at += FRAME_HEADER + length
            if kind == DATA:
                assert not flags & PADDED, "neither tonic nor gRPC pads"
                self._messages(stream, payload)
        del self._rest[:at]

    def _messages(self, stream, payload):
        # Of a message only its length is of interest: how many bytes are still to come.
        head, missing = self._streams.get(stream, (b"", 0))
        while payload:
            skipped = min(missing, len(payload))
            payload, missing = payload[skipped:], missing - skipped
            if missing or not payload:
                break
            wanted = 5 - len(head)
            head, payload = head + bytes(payload[:wanted]), payload[wanted:]
            if len(head) == 5:
                missing, head = int.from_bytes(head[1:]), b""
                self._tap.largest_message = max(self._tap.largest_message, missing)
        self._streams[stream] = (head, missing)
