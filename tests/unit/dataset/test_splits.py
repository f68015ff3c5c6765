"""Choosing splits, and holding a part out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dataset import splits
from app.errors import DatasetError


@pytest.mark.parametrize(
    ("own", "named", "chosen"),
    [
        (["train", "val", "test"], ("", ""), ("train", "val")),
        (["train", "valid", "test"], ("", ""), ("train", "valid")),
        (["test", "train"], ("", ""), ("train", "test")),
        (["train2017", "val2017", "val2014"], ("", ""), ("train2017", "val2017")),
        (["train", "trainval", "val", "test"], ("trainval", "test"), ("trainval", "test")),
        (["train"], ("", ""), ("train", "")),
        (["default"], ("", ""), ("default", "")),
        ([], ("", ""), ("", "")),
    ],
)
def test_own_splits_win_and_named_ones_before_them(own, named, chosen):
    """The set's own splits are used, named ones first, evaluation on val before test."""
    choice = splits.select_splits(own, *named, "here")
    assert (choice.train, choice.eval) == chosen


@pytest.mark.parametrize(
    ("own", "named", "said"),
    [
        (["train", "val"], ("trian", ""), r"'trian'.*train, val.*--train_split"),
        ([], ("", "val"), r"'val'.*no splits.*--eval_split"),
        (["val"], ("", ""), r"no split is named train.*val"),
        (["a", "b"], ("", ""), r"no split is named train.*a, b"),
        (["train"], ("train", "train"), "for training and for evaluation"),
    ],
)
def test_wrong_names_are_refused_with_those_there_are(own, named, said):
    """The error lists the set's splits and the flag."""
    with pytest.raises(DatasetError, match=said):
        splits.select_splits(own, *named, "here")


CLASSES = st.sets(st.sampled_from("abcd"), max_size=1)


@given(st.lists(CLASSES, min_size=2, max_size=60), st.floats(0.05, 0.95), st.integers(0, 5))
def test_each_class_in_two_images_is_in_both_parts(classes, fraction, seed):
    """One class an image: every class of two images or more is on both sides, whatever the fraction."""
    labels = {f"p{number}": found for number, found in enumerate(classes)}
    held = splits.hold_out(labels, fraction, seed)
    assert held and len(held) < len(labels)
    for label in "abcd":
        members = {name for name, found in labels.items() if label in found}
        if len(members) > 1:
            assert members & held and members - held


@given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=2, max_size=40), st.integers(0, 3))
def test_both_parts_have_images_and_order_does_not_matter(classes, seed):
    """Images of many classes: neither part is empty, and the part depends on names and seed alone."""
    labels = {f"p{number}": found for number, found in enumerate(classes)}
    held = splits.hold_out(labels, 0.2, seed)
    assert 0 < len(held) < len(labels)
    assert held == splits.hold_out(dict(reversed(labels.items())), 0.2, seed)


def test_the_fraction_is_kept_on_the_whole_and_by_class():
    """A fifth of 1000 images, and about a fifth of a class in 50 of them."""
    labels = {f"p{n}": {"rare"} if n % 20 == 0 else {"common"} for n in range(1000)}
    held = splits.hold_out(labels, 0.2, 7)
    assert len(held) == 200
    assert sum(labels[name] == {"rare"} for name in held) == 10
    assert held != splits.hold_out(labels, 0.2, 8)


def test_a_class_that_only_rides_along_is_still_in_both_parts():
    """A class that shares its images with rarer ones, dealt out first, has an image moved for it."""
    labels = {"1": {"a", "z"}, "2": {"a", "z"}, "3": {"b"}, "4": {"b"}, "5": {"b"}}
    for seed in range(10):
        held = splits.hold_out(labels, 0.2, seed)
        for label in "abz":
            members = {n for n in labels if label in labels[n]}
            assert members & held and members - held, (seed, label)


@pytest.mark.parametrize("folder", ["train", "1_train", "Train-jpgs", "train_images", "TRAIN data", "train_xmls"])
def test_a_folder_of_a_split_by_any_name(folder):
    """Numbers and words for what is in it are no part of the split's name."""
    assert splits.split_of_folder(("set", folder)).casefold() == "train"


@pytest.mark.parametrize("folder", ["trains", "train_wheels", "test tubes", "1", "jpgs"])
def test_a_folder_of_something_else(folder):
    """Other words make it another thing."""
    assert splits.split_of_folder((folder,)) == ""
