"""Shards: shares that nobody has to agree upon, embedded by processes of their own, and the store that they make."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.dry_run import dry_run
from embedder.errors import RecipeError
from embedder.job import embed
from embedder.settings import JobSettings
from embedder.shards import Shard
from embedder.sources import Entry
from store import FeatureStore
from store.listing import GONE, OK, listing_files
from store.verify import verify
from tests.conftest import Embank, FakeEngines
from tests.torture import FORKS, RECIPE, SPACE, Album, error_of, errors_into, make_album, telling

PHOTOS, SHARDS = 60, 3


def entries(keys: list[str]) -> list[Entry]:
    return [Entry(key, "", 0, 0) for key in keys]


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), unique=True), st.integers(1, 7))
def test_shares_are_disjoint_and_complete(keys: list[str], count: int) -> None:
    every = entries(keys)
    shares = [Shard(number, count).share_of(every) for number in range(1, count + 1)]
    assert Counter(entry.key for share in shares for entry in share) == Counter(keys)
    for share in shares:
        assert share == [entry for entry in every if entry in share]  # in their order


def test_shares_are_balanced_and_stay() -> None:
    """As an even draw would: each within five standard deviations of its share."""
    keys = [f"class{number % 7}/{number:06d}.jpg" for number in range(10_000)]
    for count in (2, 8, 30):
        sizes = [len(Shard(number, count).share_of(entries(keys))) for number in range(1, count + 1)]
        expected = len(keys) / count
        assert max(abs(size - expected) for size in sizes) < 5 * np.sqrt(expected)
    before = {entry.key for entry in Shard(2, 8).share_of(entries(keys[::2]))}
    after = {entry.key for entry in Shard(2, 8).share_of(entries(keys))}
    assert before == after & set(keys[::2])


@pytest.mark.parametrize(
    "text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.5/4", "²/4", "1 / 4"]
)
def test_what_is_no_shard(text: str, photos: Path, tmp_path: Path, embank: Embank) -> None:
    with pytest.raises(RecipeError, match="expected I/N, the I-th of N shares"):
        JobSettings(shard=text)
    ran = embank("embed", photos, tmp_path / "bank.embank", "--backbone", "VGG16", "--shard", text)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert repr(text) in ran.err


def test_runner_options_go_with_their_runner(photos: Path, tmp_path: Path, embank: Embank) -> None:
    with pytest.raises(RecipeError, match="runner 'slurm' does not exist: expected local or ray"):
        JobSettings(runner="slurm")
    ran = embank("embed", photos, tmp_path / "bank.embank", "--backbone", "VGG16", "--ray-workers", 2)
    assert (ran.code, ran.err) == (2, "embank: --ray-workers goes with --runner ray.\n")


def _embed_share(folder: Path, bank: Path, number: int, log: Path, die_after: int = 0) -> None:
    """One job of several, as a process; with die_after it kills itself after so many rows were committed."""
    rows = 0

    def tell(events: list[tuple[str, ...]]) -> None:
        nonlocal rows
        rows += sum(event[0] == "listed" for event in events)
        if die_after and rows >= die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    with errors_into(log), telling(tell):
        embed(folder, bank, RECIPE, settings=JobSettings(batch_size=2, workers=1, shard=f"{number}/{SHARDS}"))


def _run_together(album: Album, bank: Path, log: Path, die_after: int = 0) -> None:
    """All shards at once, each in a process of its own; the second one may be killed on its way."""
    processes = [
        FORKS.Process(target=_embed_share, args=(album.folder, bank, number, log, die_after * (number == 2)))
        for number in range(1, SHARDS + 1)
    ]
    for process in processes:
        process.start()
    for number, process in enumerate(processes, 1):
        process.join()
        died = bool(die_after) and number == 2
        assert process.exitcode == (-signal.SIGKILL if died else 0), error_of(log)


def _listing(bank: Path) -> pd.DataFrame:
    (listing,) = FeatureStore(bank).sources.values()
    return listing.table.drop(columns="listed").sort_values("key", ignore_index=True)


def test_shards_at_once_make_the_store_of_one_process(tmp_path: Path) -> None:
    album, log = make_album(tmp_path / "photos", PHOTOS), tmp_path / "log"
    (album.folder / "cats" / "broken.png").write_bytes(b"not a picture")
    one, bank = tmp_path / "one.embank", tmp_path / "bank.embank"
    with telling(lambda _: None):
        embed(album.folder, one, RECIPE, settings=JobSettings(batch_size=2, workers=1))

    _run_together(album, bank, log, die_after=4)
    assert 4 <= len(_listing(bank)) < PHOTOS + 1  # the rest of the second share is missing
    _run_together(album, bank, log)  # each again: the first and the third find nothing to do
    assert verify(bank).ok
    pd.testing.assert_frame_equal(_listing(bank), _listing(one))
    ours, theirs = FeatureStore(bank), FeatureStore(one)
    assert ours.vectors(SPACE).tobytes() == theirs.vectors(SPACE).tobytes()
    assert ours.space(SPACE).rows == theirs.space(SPACE).rows == PHOTOS
    assert not list((bank / "cache").rglob("claims/*/*/*"))


def test_a_plain_run_after_shards_embeds_nothing_and_tidies_up(
    photos: Path, tmp_path: Path, fake_engine: FakeEngines
) -> None:
    bank = tmp_path / "bank.embank"
    reports = [
        embed(photos, bank, RECIPE, settings=JobSettings(shard=f"{number}/3")) for number in range(1, 4)
    ]
    assert sum(report.listed for report in reports) == sum(report.embedded for report in reports) == 8
    again = [embed(photos, bank, RECIPE, settings=JobSettings(shard=f"{number}/3")) for number in range(1, 4)]
    assert [report.skipped for report in again] == [report.listed for report in reports]
    files = listing_files(bank / "sources" / "photos")
    assert len(files) == sum(report.listed > 0 for report in reports)
    (photos / "cats" / "0.jpg").unlink()
    for number in range(1, 4):
        embed(photos, bank, RECIPE, settings=JobSettings(shard=f"{number}/3"))
    assert (_listing(bank)["status"] == OK).all()  # a share cannot tell what has left the source
    fake_engine.batches.clear()
    assert embed(photos, bank, RECIPE).embedded == fake_engine.pictures == 0
    table = _listing(bank).set_index("key")
    assert table["status"].to_dict() == {key: GONE if key == "cats/0.jpg" else OK for key in table.index}
    assert len(listing_files(bank / "sources" / "photos")) == 1


def test_a_share_of_a_sample_and_of_a_dry_run(photos: Path, tmp_path: Path, fake_engine: FakeEngines) -> None:
    bank = tmp_path / "bank.embank"
    shares = [JobSettings(limit=5, seed=3, shard=f"{number}/2") for number in (1, 2)]
    plans = [dry_run(photos, bank, [RECIPE], settings=share) for share in shares]
    reports = [embed(photos, bank, RECIPE, settings=share) for share in shares]
    assert [plan.todo for plan in plans] == [report.embedded for report in reports]
    assert sum(report.embedded for report in reports) == 5
    plain = embed(photos, bank, RECIPE, settings=JobSettings(limit=5, seed=3))
    assert (plain.embedded, plain.skipped) == (0, 5)


def test_an_empty_share_is_no_failure(
    photos: Path, tmp_path: Path, embank: Embank, fake_engine: FakeEngines
) -> None:
    bank = tmp_path / "bank.embank"
    codes, listed = set(), 0
    for number in range(1, 41):
        ran = embank(
            "embed", photos, bank, "--backbone", "MobileNetV2", "--weights", "none", "--image-size", 32,
            "--shard", f"{number}/40", "--json",
        )  # fmt: skip
        codes.add(ran.code)
        listed += ran.json["listed"]
    assert codes == {0}
    assert listed == 8
