"""HTTP/1.1 on the standard library's threading server.

Each connection has a thread and is kept alive, since SDK clients reuse theirs.
An answer is sent in one piece with Nagle's algorithm off; without that, a small
answer waits for the client's delayed acknowledgement.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .front_door import FrontDoor
from .wire import Answer, Dropped, HttpRequest


class Server(ThreadingHTTPServer):
    """Listens and hands every request to the front door."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        front_door: FrontDoor,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """``tls`` is a certificate chain and its key, both PEM."""
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)
        self.front_door = front_door
        self.connections = itertools.count(1)
        self.secure = tls is not None
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake belongs to the connection's thread: in the accepting
            # one, a client that sends nothing would hold up all others.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def server_bind(self) -> None:
        """Without the look-up of the host's own name that the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])

    @property
    def url(self) -> str:
        host = self.server_name
        if self.address_family == socket.AF_INET6:
            host = f"[{host}]"
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{host}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests and not worth a word."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        super().setup()
        self._connection = next(self.server.connections)

    def _handle(self) -> None:
        if "transfer-encoding" in self.headers:
            self.close_connection = True
            refusal = b"a Content-Length is required"
            self._send(Answer(411, refusal, "text/plain"))
            return
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        request = HttpRequest(
            method=self.command,
            path=path,
            query=query,
            headers=self._headers(),
            body=body,
            client_ip=self.client_address[0],
            secure=self.server.secure,
            connection=self._connection,
        )
        answer = self.server.front_door.answer(request)
        if isinstance(answer, Dropped):
            self._drop()
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle

    def _headers(self) -> dict[str, str]:
        """Lower-case names; a repeated header's values joined as SigV4 signs them."""
        joined: dict[str, str] = {}
        for name, value in self.headers.items():
            name = name.lower()
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Date", self.server.front_door.world.clock.http_date())
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _drop(self) -> None:
        """Ends the connection under the client without a byte of answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client was quicker
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is the log."""
