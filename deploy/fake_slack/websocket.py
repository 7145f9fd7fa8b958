"""The server's side of a websocket (RFC 6455), as far as Socket Mode needs it: text and pings."""

import base64
import hashlib
import struct
from io import BufferedIOBase
from threading import Lock

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_LARGEST = 1_000_000


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept for the client's key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


class WebSocket:
    """An open connection. One thread receives; any may send."""

    def __init__(self, reader: BufferedIOBase, writer: BufferedIOBase) -> None:
        self._reader, self._writer = reader, writer
        self._lock = Lock()

    def send(self, text: str) -> None:
        """Send a text frame. Raises OSError when the connection is gone."""
        self._send(_TEXT, text.encode())

    def close(self) -> None:
        """Say that the connection ends."""
        self._send(_CLOSE, struct.pack("!H", 1000))

    def receive(self) -> str | None:
        """The next text, with pings answered on the way; None once the client has gone."""
        while True:
            head = self._reader.read(2)
            if len(head) < 2:
                return None
            kind, length = head[0] & 0x0F, head[1] & 0x7F
            if length == 126:
                [length] = struct.unpack("!H", self._reader.read(2))
            elif length == 127:
                [length] = struct.unpack("!Q", self._reader.read(8))
            if length > _LARGEST or not head[1] & 0x80:  # clients must mask
                return None
            mask = self._reader.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self._reader.read(length)))
            if kind == _CLOSE:
                return None
            if kind == _PING:
                self._send(_PONG, data)
            if kind == _TEXT:
                return data.decode()

    def _send(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            length = struct.pack("!B", size)
        elif size < 65_536:
            length = struct.pack("!BH", 126, size)
        else:
            length = struct.pack("!BQ", 127, size)
        with self._lock:
            self._writer.write(bytes([0x80 | kind]) + length + data)  # it has no buffer
