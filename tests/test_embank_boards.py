"""What `embank compare` tells of honest figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Embank
from tests.small_banks import small_bank, told_apart


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """120 images of two folders, which the widths of images tell."""
    X, codes = told_apart(2, 60, 8)
    keys = [f"c{code}/{i}.jpg" for i, code in enumerate(codes)]
    small_bank(tmp_path / "b.embank", keys, [X], widths=[100 + int(code) for code in codes])
    return tmp_path / "b.embank"


def test_warnings_stand_beside_the_board(embank: Embank, bank: Path, tmp_path: Path) -> None:
    ran = embank("compare", bank, "--heads", "ridge", "--csv", tmp_path / "board.csv")
    assert ran.code == 0
    assert "nuisance" in ran.out and "ceiling" in ran.out and " ! " in ran.out
    assert "! folder: width alone tells 'folder' with 100.0 %" in ran.err
    table = pd.read_csv(tmp_path / "board.csv")
    assert table.loc[0, "nuisance"] == 1.0 and table.loc[0, "leaks"] == 0
    found = embank("compare", bank, "--heads", "ridge", "--json").json
    assert found["rows"][0]["nuisance"] == 1.0 and found["rows"][0]["p_holm"] < 0.001
    (audit,) = found["audits"]
    assert audit["nuisance"]["alone"]["width"] == 1.0 and audit["permutation"]["shuffles"] == 1000
    assert audit["warnings"][0].startswith("width alone")


def test_quick_and_train_sizes(embank: Embank, bank: Path) -> None:
    ran = embank("compare", bank, "--heads", "ridge", "--quick", "--train-sizes", "10, 30,ALL", "--json")
    assert [row["n_train"] for row in ran.json["rows"]][:2] == [10, 30]
    assert ran.json["audits"] == [] and ran.json["rows"][0]["nuisance"] is None
    assert "nuisance" not in embank("compare", bank, "--heads", "ridge", "--quick").out
    for text, what in (("10,few", "'few'"), ("1", "1 images cannot")):
        ran = embank("compare", bank, "--train-sizes", text)
        assert ran.code == 2 and what in ran.err
    assert np.isfinite(
        embank("compare", bank, "--heads", "ridge", "--quick", "--json").json["rows"][0]["accuracy"]
    )


def test_a_report_says_how_it_was_made(embank: Embank, bank: Path, tmp_path: Path) -> None:
    ran = embank("compare", bank, "--heads", "ridge", "--quick", "--cv", "3", "--report", tmp_path / "r.html")
    assert ran.code == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<dt>seed</dt>\n<dd>0</dd>" in page and "<dt>cv</dt>\n<dd>3</dd>" in page
    assert "<dt>train_sizes</dt>" not in page and "<dt>plain</dt>" not in page  # as they are by default
    assert "after training on 80." in page  # of 120, with three folds
