"""Runs the explorer's server on this machine's own address."""

from __future__ import annotations

import secrets
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from embank.explorer.pictures import Pictures
    from embank.explorer.searches import Searches
    from embank.explorer.session import Session

HOST = "127.0.0.1"


def serve(
    session: Session, pictures: Pictures, searches: Searches, port: int, opened: Callable[[str], None]
) -> None:
    """Serves until it is interrupted; `opened` is told the address as soon as it answers.

    Raises BadParameter for a port that is taken. Whatever ends it, labels are written before.
    """
    import uvicorn

    from classifiers.threads import few_threads
    from embank.explorer.app import explorer_app

    token = secrets.token_urlsafe(32)
    with (
        closing(_bound(port)) as bound,
        few_threads(small=True),
    ):  # BLAS's limit holds for the process: set once
        number = bound.getsockname()[1]
        names = [f"{name}:{number}" for name in (HOST, "localhost")]
        app = explorer_app(session, pictures, searches, {"token": token, "hosts": names, "port": number})
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            loop="asyncio",
            http="h11",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        opened(f"http://{HOST}:{number}/?token={token}")
        try:
            uvicorn.Server(config).run(sockets=[bound])
        finally:
            pictures.flush()
            session.close()


def _bound(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise typer.BadParameter(
            f"port {port} cannot be had ({error.strerror}): another program has it, such as an earlier embank "
            "explore. Take another one, or leave --port out."
        ) from error
