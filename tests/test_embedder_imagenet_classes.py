"""ImageNet's class names: all of them, in the order in which every ImageNet backbone scores them."""

from __future__ import annotations

from importlib.resources import files

from embedder.imagenet_classes import imagenet_classes


def test_there_are_a_thousand_names_each_only_once() -> None:
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    assert all(name and name == name.strip() for name in names)


def test_they_are_in_the_order_of_their_wordnet_numbers() -> None:
    """That is how the challenge numbered them, https://image-net.org/challenges/LSVRC/2012."""
    lines = files("embedder").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8").splitlines()
    numbers = [line.split("\t")[0] for line in lines]
    assert numbers == sorted(set(numbers))
    assert all(len(number) == 9 and number.startswith("n") for number in numbers)


def test_classes_that_people_know_by_number() -> None:
    names = imagenet_classes()
    known = {0: "tench", 207: "golden retriever", 281: "tabby", 309: "bee", 310: "ant", 388: "giant panda"}
    assert {code: names[code] for code in known} == known
    assert (names[134], names[517], names[999]) == ("crane (bird)", "crane (machine)", "toilet tissue")
