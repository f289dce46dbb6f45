"""Requests to an ASGI application, without a server or a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """What came back; headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: ASGIApp, method: str, address: str, headers: Mapping[str, str], body: bytes | Iterator[bytes] = b""
) -> Answer:
    """One request; a body in pieces says no length beforehand."""
    parts = urlsplit(address)
    pieces = iter([body]) if isinstance(body, bytes) else body
    length = {"content-length": str(len(body))} if isinstance(body, bytes) and method == "POST" else {}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in {**length, **headers}.items()
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[Message] = []

    over = False

    async def receive() -> Message:
        nonlocal over
        if over:  # what waits for a disconnection waits until the answer is there
            await asyncio.sleep(3600)
        piece = next(pieces, None)
        over = piece is None or isinstance(body, bytes)
        return {"type": "http.request", "body": piece or b"", "more_body": not over}

    async def send(message: Message) -> None:
        sent.append(message)

    async def answered() -> None:
        await app(scope, receive, send)

    asyncio.run(answered())
    start = next(one for one in sent if one["type"] == "http.response.start")
    told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], told, b"".join(one.get("body", b"") for one in sent))
