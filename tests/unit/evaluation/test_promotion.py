"""The gate to serving, and the numbers of versions."""

import math

import pytest

from app.errors import GateError
from app.evaluation.promotion import CARD, ModelVersions, decide_promotion
from app.evaluation.selection import Rule
from app.run.files import write_json

MAP, LOSS = Rule(metric="DetectionBoxes_Precision/mAP"), Rule(metric="Loss/total_loss")


def card(value, rule=MAP):
    return {"metric": rule.metric, "value": value}


@pytest.mark.parametrize(
    ("value", "threshold", "serving", "by_hand", "passes", "words"),
    [
        (0.6, 0.5, None, False, True, ""),
        (0.5, 0.5, None, False, True, ""),
        (0.49, 0.5, None, False, False, "0.4900 is below the threshold 0.5"),
        (0.6, 0.5, card(0.55), False, True, ""),
        (0.6, 0.5, card(0.6), False, False, "0.6000 is not better than 0.6000 of version 4"),
        (0.6, 0.5, card(0.9), True, False, "not better than 0.9000"),
        (None, 0.5, None, True, False, "was not evaluated"),
        (math.nan, 0.5, None, False, False, "was not evaluated"),
        (-1, -1, None, False, False, "nothing to measure"),
        (0.6, 0.5, card(-1), False, True, ""),
        (0.6, 0.5, card(None), False, True, ""),
        (0.6, 0.5, card(math.nan), False, True, ""),
        (0.6, 0.5, card(0.1, LOSS), False, False, "not comparable with version 4, which has Loss/total_loss"),
        (0.6, 0.5, card(0.1, LOSS), True, True, "not comparable"),
        (0.6, 0.5, {}, False, False, "no metric in its card"),
        (0.6, None, None, False, False, "no threshold"),
        (0.6, None, card(0.9), True, True, "not better than 0.9000 of version 4"),
        (None, None, card(0.9), True, True, "not better"),
        (0.6, None, None, True, True, ""),
    ],
)
def test_what_passes(value, threshold, serving, by_hand, passes, words):
    """At the threshold and better than what serves; by hand anything, but for a threshold that is given."""
    version = None if serving is None else 4
    decision = decide_promotion(value, MAP, threshold, version, serving or {}, by_hand=by_hand)
    assert decision.passes == passes
    assert words in decision.reason and bool(words) == bool(decision.reason)


@pytest.mark.parametrize(("value", "passes"), [(0.4, True), (0.5, True), (0.6, False)])
def test_a_loss_passes_below(value, passes):
    """Lower is better: at or below the threshold, and below what serves."""
    assert decide_promotion(value, LOSS, 0.5, None, {}, by_hand=False).passes == passes
    assert decide_promotion(value, LOSS, 1.0, 4, card(0.45, LOSS), by_hand=False).passes == (value < 0.45)
    upwards = Rule(metric="Loss/total_loss", direction="higher")
    assert not decide_promotion(0.9, upwards, 0.5, 4, {**card(0.1, LOSS), "direction": "lower"}, by_hand=False).passes


@pytest.fixture
def model(tmp_path):
    """Versions 1 and 2, and names that Serving takes for none."""
    model = ModelVersions(tmp_path / "serving" / "wheels")
    for name in ("1", "2", ".3.x7a2", "tmp", "²", "1_0", "-5"):
        (model.folder / name).mkdir(parents=True)
    (model.folder / "9").write_text("a file")
    for version in (1, 2):
        write_json(model.path(version) / CARD, {"run": "wheels", "step": version * 10, "value": version / 10})
        model.note("promoted", version, run="wheels", step=version * 10, value=version / 10)
    return model


def test_the_highest_number_serves(model):
    """As TensorFlow Serving sees the folder."""
    assert (model.versions, model.current, model.next()) == ([1, 2], 2, 3)
    assert model.card(2)["step"] == 20
    assert ModelVersions(model.folder / "none").current is None and ModelVersions(model.folder / "none").next() == 1


def test_going_back(model):
    """The version before serves again; the one that was taken away is kept, and its number is not given again."""
    assert model.withdraw() == (2, 1)
    assert (model.versions, model.current, model.next()) == ([1], 1, 3)
    assert (model.folder / ".withdrawn" / "2" / CARD).is_file()
    with pytest.raises(GateError) as caught:
        model.withdraw()
    assert caught.value.where == str(model.folder)
    assert "--checkpoint" in caught.value.remedy
    assert model.versions == [1]
    with pytest.raises(GateError) as caught:
        ModelVersions(model.folder / "none").withdraw()
    assert caught.value.where == str(model.folder / "none")


def test_numbers_are_never_given_twice(model):
    """Also where folders were deleted by hand, or a promotion ended between its note and its rename."""
    model.withdraw()
    (model.folder / ".withdrawn" / "2" / CARD).unlink()
    (model.folder / ".withdrawn" / "2").rmdir()
    assert model.next() == 3
    model.note("promoted", 3, run="wheels", step=30, value=0.3)
    assert model.next() == 4
    (model.folder / ".history.jsonl").unlink()
    assert model.next() == 2


def test_what_was_taken_back(model):
    """A checkpoint counts as taken back until it is promoted again."""
    assert model.serves("wheels", 20, 0.2) and not model.serves("wheels", 20, 0.3)
    model.withdraw()
    assert model.was_withdrawn("wheels", 20, 0.2) and not model.was_withdrawn("wheels", 10, 0.1)
    assert not model.was_withdrawn("other", 20, 0.2)
    model.note("promoted", 3, run="wheels", step=20, value=0.2)
    assert not model.was_withdrawn("wheels", 20, 0.2)
