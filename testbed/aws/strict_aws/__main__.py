"""``python -m strict_aws``: serves until it is told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from . import moto_state
from .front_door import FrontDoor
from .server import Server
from .world import World


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    world = World(jwks=options.jwks)
    moto_state.warm_up()
    tls = (options.tls_cert, options.tls_key) if options.tls_cert else None
    server = Server(options.host, options.port, FrontDoor(world), tls)
    serving = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    serving.start()
    print(f"listening on {server.url}", flush=True)
    if options.ready_file is not None:
        options.ready_file.write_text(f"{server.url}\n")
    if options.exit_on_stdin_close:
        threading.Thread(target=_await_end_of_stdin, args=(stop,), daemon=True).start()

    stop.wait()
    server.shutdown()
    server.server_close()
    return 0


def _await_end_of_stdin(stop: threading.Event) -> None:
    """A test runner that dies takes its end of the pipe with it.

    Read from the descriptor: a thread waiting inside ``sys.stdin`` would hold a
    lock that the interpreter needs in order to end.
    """
    while os.read(0, 4096):
        pass
    stop.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="strict_aws", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free port")
    parser.add_argument("--jwks", type=Path, help="keys of the token issuers, JSON")
    parser.add_argument("--ready-file", type=Path, help="gets the URL once serving")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument(
        "--exit-on-stdin-close",
        action="store_true",
        help="end when standard input is closed",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
