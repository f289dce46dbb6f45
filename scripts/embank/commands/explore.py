"""`embank explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embank.console import counted, say
from embank.options import ENGINE, SCHEMES, SPACE, STORE


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "explore",
        short_help="Regroup labels on a local web page and see the effect at once.",
        epilog="Example: embank explore pets.embank --scheme breed",
    )(_explore)


def _explore(
    store: Annotated[Path, STORE],
    space: Annotated[str | None, SPACE] = None,
    scheme: Annotated[
        str | None, typer.Option(help="What to begin with; else the first scheme there is.")
    ] = None,
    schemes: Annotated[Path | None, SCHEMES] = None,
    where: Annotated[
        str | None, typer.Option(help="Only images for which this holds, such as \"split == 'train'\".")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of this machine; by default any that is free.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    weights: Annotated[
        str | None, typer.Option(help="For an image dropped on the page: where the backbone's weights are.")
    ] = None,
    engine: Annotated[str, ENGINE] = "auto",
) -> None:
    """Open a local web page to merge, split, rename and relabel, with honest figures after each change.

    Labels given on the page are kept in the store's label table `explorer`, schemes are saved as files in the current
    folder. Ctrl-C ends the server.
    """
    from embank.explorer.collection import Collection
    from embank.explorer.kept_labels import KeptLabels
    from embank.explorer.pictures import Pictures
    from embank.explorer.saved_schemes import SavedSchemes
    from embank.explorer.searches import Searches
    from embank.explorer.serving import serve
    from embank.explorer.session import Session
    from embank.explorer.starts import Starts
    from store import FeatureStore

    collection = Collection.of(FeatureStore(store), space, where)
    kept = KeptLabels(store)
    starts = Starts(collection, schemes)
    session = Session(collection, starts, kept, SavedSchemes(collection, kept, Path(), where))
    say(f"Opening {counted(len(collection), 'image')} of {collection.space}.")
    session.open(scheme)
    serve(
        session,
        Pictures(collection),
        Searches(collection, weights, engine),
        port,
        lambda url: _tell(url, browser),
    )


def _tell(address: str, browser: bool) -> None:
    print(address, flush=True)
    say("The address is for this machine and this run only. Ctrl-C ends it.")
    if browser:
        import webbrowser

        webbrowser.open(address)
