"""An HTTP/1.1 server in threads that counts what it answers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

BODY = b"hello, world"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
FAILURE = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"


class CountingServer:
    """Answers every request, every tenth with a failure when told so, and counts them."""

    def __init__(self) -> None:
        self.requests = 0
        self.fails = False
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._connections:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    if line == b"\r\n":
                        connection.sendall(self._next_answer())
            except ConnectionError:
                return

    def _next_answer(self) -> bytes:
        with self._lock:
            self.requests += 1
            return FAILURE if self.fails and self.requests % 10 == 0 else ANSWER
