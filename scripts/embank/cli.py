"""`embank`: the command line. Commands live in their own modules and import what they need when they run."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

import embank
from embank.commands import (
    backbones,
    bank,
    baseline,
    demo,
    doctor,
    embed,
    explore,
    export,
    finetune,
    heads,
    labels,
    planning,
    predict,
    schemes,
    similar,
    upkeep,
)
from embank.console import say

app = typer.Typer(
    name="embank",
    help="Embed images once with frozen ImageNet backbones; then train and compare heads in milliseconds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_INTERRUPTED = 130
_OWN_FILES = {"store": "commit.py", "embedder": "recipe.py", "classifiers": "schemes.py"}
_EXPECTED = {
    "store.errors": "StoreError",
    "embedder.errors": "EmbedderError",
    "classifiers.errors": "ClassifierError",
}


@app.callback(invoke_without_command=True)
def _general(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        print(f"embank {embank.__version__}")
        raise typer.Exit
    if debug:
        os.environ["EMBANK_DEBUG"] = "1"


for module in (
    demo,
    embed,
    bank,
    labels,
    schemes,
    heads,
    finetune,
    baseline,
    planning,
    predict,
    similar,
    explore,
    export,
    backbones,
    doctor,
    upkeep,
):
    module.register(app)


def main() -> NoReturn:
    """Runs a command. Exit status: 0 done, 1 something failed, 2 bad input, 130 interrupted."""
    _refuse_foreign_packages()
    # A batch scheduler ends jobs with SIGTERM: commit what is done, as on Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # typer has made this of a KeyboardInterrupt
            say("Interrupted.")
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit fails too
        sys.exit(1)
    except Exception as error:
        if os.environ.get("EMBANK_DEBUG"):
            traceback.print_exc()
        sys.exit(_explain(error))
    sys.exit(0)


def _explain(error: Exception) -> int:
    """Says what is wrong in a sentence; returns the exit status."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    misplaced = isinstance(cause, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    if isinstance(error, _expected_errors()):
        say(f"embank: {error}")
        return 1 if isinstance(error, OSError) and not misplaced else 2
    if isinstance(error, OSError) and error.strerror:
        say(
            f"embank: {error.filename or 'the output'}: {error.strerror}. Check the path and its permissions."
        )
        return 2 if error.filename else 1
    say(
        f"embank failed unexpectedly: {type(error).__name__}: {error}\n"
        "This is a fault of embank's. Run `embank --debug …` again and report what it prints."
    )
    return 1


def _refuse_foreign_packages() -> None:
    """Our packages have everyday names: one that shadows them would fail later, with a riddle."""
    for name, file in _OWN_FILES.items():
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or not Path(spec.origin).with_name(file).exists():
            found = "nothing" if spec is None else spec.origin or list(spec.submodule_search_locations or [])
            say(
                f"embank: the Python path has {found} where embank's package {name!r} should be. Rename it, or run "
                "from another folder."
            )
            sys.exit(2)


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    """Ends the command once; a second Ctrl-C must not break off the commit that the first one made it do."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _expected_errors() -> tuple[type[BaseException], ...]:
    """The errors that are sentences already, of the packages that this command has loaded."""
    loaded = ((sys.modules.get(module), name) for module, name in _EXPECTED.items())
    return tuple(getattr(module, name) for module, name in loaded if module)
