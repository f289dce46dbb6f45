"""Who may talk to the server: this machine's browser, with the token of the address, from the page itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_JSON = 4 << 20  # bytes of a request; a hundred thousand ids
LARGEST_IMAGE = 64 << 20
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware that lets through what may be answered, and adds headers to all answers.

    hosts: `host:port` as a browser on this machine may call the server; any other name is refused, so that a foreign
    name that leads here (DNS rebinding) gets nothing. The token comes with the first address, `/?token=…`, and then
    as a cookie that scripts cannot read and other sites' requests do not carry; POST needs the page's own origin
    besides.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str], port: int) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(hosts)
        self._cookie = f"embank-{port}"  # cookies do not know ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        welcome = refused is None and self._token_of_address(scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer[name] = value
                answer.setdefault("Cache-Control", "no-store")
                if welcome:
                    answer["Set-Cookie"] = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            await send(message)

        if refused:
            await refused(scope, receive, guarded)
            return
        await self._app(scope, _limited(headers, receive), guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to what may not be asked, None for what may."""
        if headers.get("host") not in self._hosts:
            return refusal(
                403, "this name of the server is not known: open the address that embank explore printed."
            )
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not self._opens_page(
            scope
        ):
            return refusal(403, "requests of other pages are not answered.")
        if not (self._has_cookie(headers) or self._token_of_address(scope)):
            return refusal(
                403,
                "the token is missing or of an earlier run: open the address that embank explore printed.",
            )
        if scope["method"] not in ("GET", "HEAD"):
            if headers.get("origin") not in {f"http://{host}" for host in self._hosts}:
                return refusal(403, "changes are taken from the page itself only.")
            if _too_large(headers):
                return refusal(413, "the request is too large.")
        return None

    def _opens_page(self, scope: Scope) -> bool:
        """Whether a link elsewhere, such as in a terminal of a browser, leads to the page with its token."""
        return bool(scope["method"] == "GET" and scope["path"] == "/" and self._token_of_address(scope))

    def _has_cookie(self, headers: Headers) -> bool:
        # Not SimpleCookie, which reads nothing beside a cookie of another local program that it cannot read.
        given = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        return self._is_token(given)

    def _token_of_address(self, scope: Scope) -> bool:
        if scope["path"] != "/":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return self._is_token(given[0])

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())


def refusal(status: int, sentence: str) -> Response:
    """An error as the page shows it."""
    return JSONResponse({"error": as_sentence(sentence)}, status)


def as_sentence(text: str) -> str:
    """With a capital letter where it begins with a word and not with a name."""
    return text[0].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text


class TooLargeError(Exception):
    """A request has more bytes than it may."""


def _limit(headers: Headers) -> int:
    return LARGEST_JSON if headers.get("content-type", "").startswith("application/json") else LARGEST_IMAGE


def _too_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return not length.isdecimal() or int(length) > _limit(headers)


def _limited(headers: Headers, receive: Receive) -> Receive:
    """What is received, as long as it is not too much; a request need not say its length beforehand."""
    left = _limit(headers)

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLargeError
        return message

    return limited
