"""`embank doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from embank.console import print_json, say
from embank.options import JSON

if TYPE_CHECKING:
    from embank.installation import Finding
    from embedder.checkup import EngineCheck

_REMEDY = {
    "keras": "pip install --force-reinstall tensorflow keras",
    "openvino": "until it is mended (pip install --force-reinstall openvino), embed with --engine keras",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "doctor",
        short_help="Check what is installed, and that the engines agree.",
        epilog="Example: embank doctor --json",
    )(_doctor)


def _doctor(
    engines: Annotated[
        bool, typer.Option(help="Run every engine on a few pictures; it takes about ten seconds.")
    ] = True,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Check versions, processor, caches, and that each engine gives the same vectors; exit 1 if anything is wrong."""
    from embank.installation import WRONG, findings, installed

    found = list(findings())
    if not json:
        for finding in found:
            _print(finding)
    checks = _check(json) if engines else []
    about_engines = [_finding(check) for check in checks]
    found += about_engines
    sound = all(finding.state != WRONG for finding in found)
    if json:
        print_json(
            {
                "ok": sound,
                "versions": installed(),
                "engines": [asdict(check) for check in checks],
                "findings": [asdict(finding) for finding in found],
            }
        )
    else:
        for finding in about_engines:
            _print(finding)
        print("Everything that was checked works." if sound else "Something is wrong: see above.")
    if not sound:
        raise typer.Exit(1)


def _check(quietly: bool) -> list[EngineCheck]:
    from embedder.checkup import run_checks

    if not quietly:
        say("Running the engines …")
    return run_checks()


def _finding(check: EngineCheck) -> Finding:
    from embank.installation import NOTE, OK, WRONG, Finding

    name = f"{check.engine} in {check.precision}"
    if check.problem is None:
        alike = f"agrees with Keras in float32 to {check.agreement:.6f}"
        return Finding("engines", OK, f"{name}: {check.description}, {alike} ({check.seconds:.1f} s)")
    state = NOTE if check.precision == "bfloat16" and check.agreement is None else WRONG
    return Finding("engines", state, f"{name}: {check.problem}", _REMEDY[check.engine])


def _print(finding: Finding) -> None:
    mark = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}[finding.state]
    do = f" → {finding.do}" if finding.do else ""
    print(f"{mark}  {finding.about}: {finding.found}{do}")
