"""Answers in a browser: serves a page on this machine, on which files are dropped; nobody else can see it.

From another machine, by SSH: ssh -L 8765:127.0.0.1:8765 HOST, then open http://localhost:8765 here.
"""

import argparse
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.inputs.arguments import port

if TYPE_CHECKING:
    from uvicorn import Server

    from pipeline.serving.models import Models

HERE = "127.0.0.1"
PORT = 8765
PATIENCE = 5  # seconds that a stopped server waits for answers that are under way


def main(argv: Sequence[str]) -> None:
    """Serve until Ctrl-C.

    Raises:
        InputError: there are no trained models, or the port is taken.
    """
    from pipeline.serving.models import Models

    args = make_parser().parse_args(argv)
    with listening(args.port) as listener:
        models = Models(args.weights, args.device)
        print(f"open http://{HERE}:{listener.getsockname()[1]} in a browser; Ctrl-C ends it", flush=True)
        try:
            make_server(models).run([listener])
        except KeyboardInterrupt:
            print("closed", flush=True)


def make_server(models: "Models") -> "Server":
    """Of the page of these models."""
    import uvicorn

    from pipeline.serving.app import make_app

    app = make_app(models)
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=PATIENCE)
    )


def make_parser() -> argparse.ArgumentParser:
    """What the server is told."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.predict --serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=port, default=PORT, help="0: any that is free; default: %(default)s")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="archive of make weights; needs no training")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    return parser


def listening(port: int) -> socket.socket:
    """A socket that takes connections of this machine alone.

    Raises:
        InputError: the port is taken, or not ours to take.
    """
    try:
        return socket.create_server((HERE, port))
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; give another, or 0 for any that is free") from error
