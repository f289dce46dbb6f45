"""The routes of the explorer: what the page asks, checked, and what a session answers."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from embank.explorer.asked import Asked
from embank.explorer.edits import Edits
from embank.explorer.lists import Listed, Lists
from embank.explorer.security import Guard, TooLargeError, refusal
from embank.explorer.slow import SlowFigures
from embank.explorer.state import picture, pictures, state

if TYPE_CHECKING:
    from starlette.requests import Request

    from embank.explorer.pictures import Pictures
    from embank.explorer.searches import Searches
    from embank.explorer.session import Session

STATIC = Path(__file__).parent / "static"
_PAGE = 200  # images of one answer, at most
_PROPOSED = 12
_YEAR = "private, max-age=31536000, immutable"


def explorer_app(session: Session, shown: Pictures, searches: Searches, guard: dict[str, Any]) -> Starlette:
    """The application; `guard` is what `Guard` takes beside it."""
    routes = _Routes(session, shown, searches)
    gets = {"state": routes.state, "images": routes.images, "image": routes.image, "map": routes.map}
    gets |= {
        "codes": routes.codes,
        "slow": routes.slow,
        "proposals": routes.proposals,
        "growth": routes.growth,
    }
    posts = {name: routes.edit(name) for name in _EDITS}
    posts |= {"save": routes.save}
    app = Starlette(
        routes=[
            Route("/", lambda request: FileResponse(STATIC / "index.html"), methods=["GET"]),
            Route("/thumb/{id:int}", routes.picture(shown.jpeg), methods=["GET"]),
            Route("/large/{id:int}", routes.picture(shown.large), methods=["GET"]),
            *(Route(f"/api/{name}", _get(answer), methods=["GET"]) for name, answer in gets.items()),
            *(Route(f"/api/{name}", _post(answer), methods=["POST"]) for name, answer in posts.items()),
            Route("/api/similar", routes.similar, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, **guard)],
        exception_handlers={HTTPException: _told, Exception: _failed, TooLargeError: _too_large},
    )
    app.state.images = len(session.collection)
    return app


Document = dict[str, Any]
Answer = Callable[[Asked], Document]


class _Routes:
    def __init__(self, session: Session, shown: Pictures, searches: Searches) -> None:
        self._session, self._searches = session, searches
        self._lists = Lists(session)
        self._edits = Edits(session, self._lists)
        self._slow = SlowFigures(session, shown.all)

    def state(self, asked: Asked) -> Document:
        return state(self._session)

    def images(self, asked: Asked) -> Document:
        found = self._list(asked)
        if asked.flag("ids"):
            return {"ids": found.rows.tolist()}
        offset, limit = asked.number("offset", 0), min(_PAGE, asked.number("limit", 100))
        return self._told(found, slice(offset, offset + limit))

    def image(self, asked: Asked) -> Document:
        return picture(self._session, asked.row("id"))

    def map(self, asked: Asked) -> Document:
        return self._slow.map()

    def codes(self, asked: Asked) -> Document:
        step = self._session.shown.step
        if asked.one_of("by", ("label", "predicted")) == "label":
            return {"codes": step.live.codes.tolist()}
        return {
            "codes": [-1] * len(step.live.codes) if step.result is None else step.result.predicted.tolist()
        }

    def slow(self, asked: Asked) -> Document:
        return self._slow.figures()

    def proposals(self, asked: Asked) -> Document:
        from classifiers.live import proposals

        step = self._session.shown.step
        name = asked.text("class", "")
        code = step.live.classes.index(name) if name in step.live.classes else None
        rows = proposals(self._session.fit.vectors, step.live.codes, step.result, _PROPOSED, code)
        return {
            "images": pictures(self._session, rows, {}),
            "why": _why(len(rows) > 0, step.result is not None, name, code),
        }

    def growth(self, asked: Asked) -> Document:
        return {"curve": self._session.growth}

    def picture(self, jpeg_of: Callable[[int], bytes | None]) -> Callable[[Request], Response]:
        """What answers with a JPEG of an image."""

        def answer(request: Request) -> Response:
            row = request.path_params["id"]
            jpeg = jpeg_of(row) if row < len(self._session.collection) else None
            if jpeg is None:
                return refusal(404, "the file of this image is gone, or is another one than was embedded.")
            return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": _YEAR})

        return answer

    def edit(self, name: str) -> Answer:
        act = _EDITS[name]

        def answer(asked: Asked) -> Document:
            with self._up_to_date(asked):
                act(self._session, self._edits, asked)
                return state(self._session)

        return answer

    def save(self, asked: Asked) -> Document:
        with self._up_to_date(asked):
            return self._session.save(asked.text("name").strip())

    async def similar(self, request: Request) -> Response:
        data = await request.body()

        def search() -> Document:
            return self._told(self._searches.like(data, self._lists), slice(0, _PAGE))

        return await _answered(search)

    @contextmanager
    def _up_to_date(self, asked: Asked) -> Iterator[None]:
        """No other edit until the block ends: classes are numbers, which mean something else after one."""
        with self._session.alone() as revision:
            if asked.has("revision") and asked.number("revision") != revision:
                raise HTTPException(
                    409,
                    "the scheme was changed in another window meanwhile, so nothing was done: "
                    "look at it as it is now, and try again if it still makes sense.",
                )
            yield

    def _list(self, asked: Asked) -> Listed:
        lists = self._lists
        kinds: dict[str, Callable[[], Listed]] = {
            "all": lists.all,
            "class": lambda: lists.of_class(asked.number("code")),
            "cell": lambda: lists.cell(asked.number("truth"), asked.number("guess")),
            "mistakes": lists.mistakes,
            "errors": lists.errors,
            "duplicates": lists.duplicates,
            "flips": lists.flips,
            "where": lambda: lists.where(asked.text("where")),
            "similar": lambda: lists.similar(asked.row("id")),
        }
        return kinds[asked.one_of("kind", tuple(kinds))]()

    def _told(self, found: Listed, some: slice) -> dict[str, Any]:
        return {
            "total": len(found.rows),
            "images": pictures(self._session, found.rows[some].tolist(), found.notes),
        }


def _split(session: Session, edits: Edits, asked: Asked) -> None:
    code = asked.number("class")
    if asked.has("column"):
        edits.split_by_column(code, asked.text("column"))
    elif asked.has("where"):
        edits.split_by_expression(code, asked.text("where"))
    else:
        edits.split_by_clusters(code, asked.number("clusters"))


_EDITS: dict[str, Callable[[Session, Edits, Asked], Any]] = {
    "merge": lambda session, edits, asked: edits.merge(asked.numbers("classes"), asked.text("name")),
    "rename": lambda session, edits, asked: edits.rename(asked.number("class"), asked.text("name")),
    "split": _split,
    "drop": lambda session, edits, asked: edits.drop(asked.number("class")),
    "restore": lambda session, edits, asked: edits.restore(asked.text("name")),
    "relabel": lambda session, edits, asked: edits.relabel(asked.rows("ids"), asked.text_or_none("label")),
    "start": lambda session, edits, asked: session.begin(asked.text("from")),
    "undo": lambda session, edits, asked: session.undo(),
    "redo": lambda session, edits, asked: session.redo(),
}


def _get(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        asked = Asked(dict(request.query_params), request.app.state.images)
        return await _answered(lambda: answer(asked))

    return endpoint


def _post(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise HTTPException(415, "an edit is asked for as application/json.")
        try:
            body = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise HTTPException(400, "the request is no JSON object.")
        asked = Asked(body, request.app.state.images)
        return await _answered(lambda: answer(asked))

    return endpoint


async def _answered(answer: Callable[[], Document]) -> Response:
    """The answer as JSON, made in a thread; what is wrong with the question as a sentence."""
    from classifiers.errors import ClassifierError
    from embedder.errors import EmbedderError
    from store import StoreError

    try:
        return JSONResponse(await run_in_threadpool(answer))
    except (ClassifierError, StoreError, EmbedderError) as error:
        return refusal(400, str(error))


def _why(some: bool, fitted: bool, name: str, code: int | None) -> str:
    if not some:
        return "Every image has a label."
    if not fitted:
        return "Typical images of many kinds: label some of two classes, and proposals follow what is unsure."
    if code is not None:
        return f"Likely {name}, and each stands for others that are hard to tell so far."
    return "Hard to tell so far, and each stands for others like it."


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (Starlette gives no other)
    return refusal(error.status_code, str(error.detail))


async def _too_large(request: Request, error: Exception) -> Response:
    return refusal(413, "the request is too large.")


async def _failed(request: Request, error: Exception) -> Response:
    traceback.print_exception(error, file=sys.stderr)
    return refusal(
        500,
        f"embank failed unexpectedly ({type(error).__name__}): what it printed in the terminal says more.",
    )
