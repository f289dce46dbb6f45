"""The explorer's application on small stores, asked without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.types import ASGIApp

from embank.explorer.app import explorer_app
from embank.explorer.collection import Collection
from embank.explorer.kept_labels import KeptLabels
from embank.explorer.pictures import Pictures
from embank.explorer.saved_schemes import SavedSchemes
from embank.explorer.searches import Searches
from embank.explorer.session import Session
from embank.explorer.starts import Starts
from store import FeatureStore
from tests.asgi import Answer, ask
from tests.small_banks import small_bank, told_apart

TOKEN = "the-token-of-this-run"  # noqa: S105 (of a test)
HOST = "127.0.0.1:8000"
OWN = {"host": HOST, "cookie": f"embank-8000={TOKEN}"}
CLASSES = ("ant", "bee", "cat", "dog")


def bank(
    path: Path, each: int = 25, classes: int = 4, noise: float = 3.0, folders: bool = True
) -> FeatureStore:
    """Images of classes that overlap a little, in folders of their own or in none."""
    vectors, codes = told_apart(classes, each, 24)
    vectors += np.random.default_rng(1).normal(scale=noise, size=vectors.shape).astype(np.float32)
    names = [CLASSES[code] if classes <= len(CLASSES) else f"kind {code:04}" for code in codes]
    keys = [f"{name}/{i:05}.jpg" if folders else f"{name}-{i:05}.jpg" for i, name in enumerate(names)]
    return small_bank(path, keys, [vectors], widths=[100 + i % 7 for i in range(len(keys))])


@dataclass
class Explorer:
    """An application, and what it answers to the page."""

    app: ASGIApp
    session: Session
    headers: dict[str, str] = field(default_factory=lambda: dict(OWN))

    def raw(self, method: str, address: str, body: bytes | Iterator[bytes] = b"", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.app, method, address, self.headers | named, body)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.raw("GET", f"/api/{path}?{urlencode(query)}")
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, **body: Any) -> Any:
        answer = self.posted(path, body)
        assert answer.status == 200, answer.body
        return answer.json

    def posted(self, path: str, body: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.raw(
            "POST", f"/api/{path}", data, origin=f"http://{HOST}", content_type="application/json"
        )

    def refused(self, path: str, **body: Any) -> str:
        """The sentence of an edit that cannot be done."""
        answer = self.posted(path, body)
        assert 400 <= answer.status < 500, answer.body
        return str(answer.json["error"])


def explorer(
    store: FeatureStore,
    scheme: str | None = None,
    schemes: Path | None = None,
    where: str | None = None,
    folder: Path | None = None,
) -> Explorer:
    """As `embank explore` opens a store; schemes are saved in `folder`, by default that of the store."""
    collection = Collection.of(FeatureStore(store.path), None, where)
    kept = KeptLabels(store.path)
    saved = SavedSchemes(collection, kept, folder or store.path.parent, where)
    session = Session(collection, Starts(collection, schemes), kept, saved)
    session.open(scheme)
    searches = Searches(collection, None, "auto")
    app = explorer_app(
        session,
        Pictures(collection),
        searches,
        {"token": TOKEN, "hosts": [HOST, "localhost:8000"], "port": 8000},
    )
    return Explorer(app, session)
