"""Live schemes: edits keep every image in one class or none, and what can be said as groups is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import Labels, Scheme, SchemeError
from classifiers.live import LiveScheme, heirs


def live(text: str = "aabbccdd") -> LiveScheme:
    """A letter an image, '-' for none."""
    classes = tuple(sorted({*text} - {"-"}))
    return LiveScheme.of(Labels("s", classes, np.array([classes.index(c) if c != "-" else -1 for c in text])))


def names(scheme: LiveScheme) -> list[Any]:
    return list(scheme.names)


def texts(*values: str | None) -> Any:
    return np.array(values, object)


def test_merging_puts_the_classes_in_the_place_of_the_named_one() -> None:
    merged = live().merged([0, 2], "c")
    assert merged.classes == ("b", "c", "d")
    assert names(merged) == ["c", "c", "b", "b", "c", "c", "d", "d"]
    assert live().merged([1, 3], "new").classes == ("a", "new", "c")


def test_a_split_keeps_the_rest_under_the_old_name() -> None:
    split = live().split(1, texts("x", None))
    assert split.classes == ("a", "b", "x", "c", "d")
    assert names(split) == ["a", "a", "x", "b", "c", "c", "d", "d"]
    assert live().split(0, texts("b", "x")).classes == ("a: b", "x", "b", "c", "d")  # b is taken


def test_a_dropped_class_comes_back_without_what_was_relabelled_meanwhile() -> None:
    dropped = live().without(1)
    assert dropped.classes == ("a", "c", "d")
    assert names(dropped)[2:4] == [None, None]
    assert names(dropped.restored("b"))[2:4] == ["b", "b"]
    assert names(dropped.relabelled(np.array([2]), "a").restored("b"))[2:4] == ["a", "b"]
    gone = dropped.relabelled(np.array([2]), None).restored("b")
    assert names(gone)[2:4] == [None, "b"]


def test_relabelling_makes_classes_and_ends_them() -> None:
    assert live("a-").relabelled(np.array([0]), " new ").classes == ("new",)
    assert live("ab").relabelled(np.array([1]), None).classes == ("a",)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda s: s.merged([1], "x"), "two different"),
        (lambda s: s.merged([1, 1], "x"), "two different"),
        (lambda s: s.merged([0, 1], "c"), "already"),
        (lambda s: s.merged([0, 9], "x"), "no class number 9"),
        (lambda s: s.renamed(0, "b"), "already"),
        (lambda s: s.renamed(0, "  "), "needs a name"),
        (lambda s: s.renamed(0, "x\ny"), "one line"),
        (lambda s: s.renamed(0, "x" * 201), "200"),
        (lambda s: s.split(0, texts("x", "x")), "all its images"),
        (lambda s: s.split(0, texts(None, None)), "none of its images"),
        (lambda s: s.restored("a"), "no class 'a' was dropped"),
        (lambda s: s.relabelled(np.array([0]), ""), "needs a name"),
    ],
)
def test_what_cannot_be_done_is_said(edit: Any, said: str) -> None:
    with pytest.raises(SchemeError, match=said):
        edit(live())


def test_several_labels_an_image_are_refused() -> None:
    with pytest.raises(SchemeError, match="several labels"):
        LiveScheme.of(Labels("tags", ("a", "b"), np.zeros((3, 2), np.int8)))


def test_heirs_by_images_and_by_names() -> None:
    before = live()
    merged = before.merged([0, 1], "a")
    assert heirs(before, merged, by_name=False).tolist() == [
        [True, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    moved = before.relabelled(np.array([0]), "b")
    assert heirs(before, moved, by_name=True).tolist() == np.eye(4, dtype=bool).tolist()


@st.composite
def edited(draw: st.DrawFn) -> LiveScheme:
    """A scheme after some edits."""
    scheme = live(draw(st.text("abcd-", min_size=4, max_size=20).filter(lambda text: set(text) != {"-"})))
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["merge", "rename", "split", "drop", "restore", "relabel"]))
        code = draw(st.integers(0, 4))
        rows = np.array(sorted(draw(st.sets(st.integers(0, len(scheme.codes) - 1), min_size=1))))
        try:
            if kind == "merge":
                scheme = scheme.merged([code, draw(st.integers(0, 4))], f"m{number}")
            elif kind == "rename":
                scheme = scheme.renamed(code, f"r{number}")
            elif kind == "split":
                count = len(scheme.rows(code))
                values = draw(st.lists(st.sampled_from(["x", "y", None]), min_size=count, max_size=count))
                scheme = scheme.split(code, texts(*values))
            elif kind == "drop":
                scheme = scheme.without(code)
            elif kind == "restore" and scheme.dropped:
                scheme = scheme.restored(scheme.dropped[0][0])
            else:
                scheme = scheme.relabelled(rows, draw(st.sampled_from(["a", "z", None])))
        except SchemeError:
            continue
    return scheme


@settings(deadline=None, max_examples=50)
@given(edited())
def test_edits_leave_a_sound_scheme(scheme: LiveScheme) -> None:
    assert len(set(scheme.classes)) == len(scheme.classes)
    assert scheme.codes.min() >= -1 and scheme.codes.max() < len(scheme.classes)
    assert (scheme.counts > 0).all()
    left_out = [row for _, rows in scheme.dropped for row in rows]
    assert len(set(left_out)) == len(left_out)
    assert (scheme.codes[left_out] == -1).all()


@settings(deadline=None, max_examples=50)
@given(edited(), st.text("abcd-", min_size=20, max_size=20))
def test_groups_give_the_same_classes_or_are_not_given(scheme: LiveScheme, folders: str) -> None:
    values = texts(*(None if c == "-" else c for c in folders[: len(scheme.codes)]))
    start = Scheme("folder", "folder")
    found = scheme.as_groups("mine", start, values)
    if found is None:
        return
    images = pd.DataFrame({"folder": values})
    labels = found.labels(images, strict=False)
    assert list(labels.names()) == names(scheme)


def test_merges_and_drops_are_groups() -> None:
    scheme = live().merged([0, 1], "ab").without(1)
    found = scheme.as_groups("mine", Scheme("folder", "folder"), live().names)
    assert found is not None
    assert found.groups == {"ab": ("a", "b"), "d": ("d",)}
    assert found.drop == ("c",)
    assert (
        live().relabelled(np.array([0]), "b").as_groups("m", Scheme("folder", "folder"), live().names) is None
    )
