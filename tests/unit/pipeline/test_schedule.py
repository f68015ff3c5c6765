"""The learning rate that a run gets. Expected numbers are worked out by hand."""

import math
import re

import pytest
from refusals import refused

from app.errors import SettingsError
from app.pipeline import schedule
from app.protos import pipeline_config

MANUAL = """train_config { num_steps: 1000 optimizer { momentum_optimizer {
  learning_rate { manual_step_learning_rate {
  initial_learning_rate: %s %s
  schedule { step: 100 learning_rate: 0.1 } schedule { step: 500 learning_rate: 0.01 } } } } } }"""


def rate(pipeline):
    optimizer = pipeline.config.train_config.optimizer
    message = getattr(optimizer, optimizer.WhichOneof("optimizer")).learning_rate
    return getattr(message, message.WhichOneof("learning_rate")), message.WhichOneof("learning_rate")


def steps_of(body):
    return [(entry.step, pytest.approx(entry.learning_rate)) for entry in body.schedule]


def test_fine_tune_of_the_zoo(make, hands):
    """Batch 128 to 8: 0.08 * sqrt(8 / 128) = 0.02; the cosine ends with the run; warm-up is a tenth of it."""
    pipeline = make(fine_tune_checkpoint=str(hands), batch_size=8, num_train_steps=400)
    body, kind = rate(pipeline)
    assert kind == "cosine_decay_learning_rate"
    assert body.learning_rate_base == pytest.approx(0.02)
    assert (body.total_steps, body.warmup_steps) == (400, 40)
    assert body.warmup_learning_rate == pytest.approx(0.026666 / 4)
    assert any("0.08 scaled from batch 128 to 8: 0.02" in note for note in pipeline.notes)
    assert pipeline.learning_rate == pytest.approx(0.02)


def test_model_as_it_is(make, hands):
    """Without batch size and steps the model's own schedule stays, and no note claims otherwise."""
    pipeline = make(fine_tune_checkpoint=str(hands))
    body, _ = rate(pipeline)
    assert (body.total_steps, body.warmup_steps, pipeline.batch_size) == (50000, 1000, 128)
    assert body.learning_rate_base == pytest.approx(0.08)
    assert not any("learning rate" in note or "warm-up" in note for note in pipeline.notes)


def test_explicit_rate_is_not_scaled(make):
    """A given learning rate is the peak, whatever the batch size; warm-up keeps its part of it."""
    body, _ = rate(make(learning_rate=0.3, batch_size=64))
    assert body.learning_rate_base == pytest.approx(0.3)
    assert body.warmup_learning_rate < 0.3


def test_explicit_warmup(make):
    """Given steps of warm-up are taken as they are, 0 too."""
    assert rate(make(warmup_steps=300))[0].warmup_steps == 300
    assert rate(make(warmup_steps=0))[0].warmup_steps == 0


def test_warmup_longer_than_run(make):
    """Warm-up that never ends is refused."""
    with refused(SettingsError, flag="--warmup_steps", about="steps"):
        make(num_train_steps=100, warmup_steps=100)


def test_one_step(make):
    """A run of one step has a valid cosine: upstream divides by total - warm-up - hold."""
    body, _ = rate(make(num_train_steps=1))
    assert body.total_steps - body.warmup_steps - body.hold_base_rate_steps >= 1


def test_hold_is_stretched(make, write_model):
    """Steps at the full rate shrink with the run: 500 of 1000 become 100 of 200."""
    model = write_model(
        "tiny",
        "train_config { num_steps: 1000 optimizer { momentum_optimizer { learning_rate { "
        "cosine_decay_learning_rate { hold_base_rate_steps: 500 } } } } }",
    )
    assert rate(make(model=model, num_train_steps=200))[0].hold_base_rate_steps == 100


def test_hold_leaves_room_for_the_cosine(make, write_model):
    """Warm-up and hold together end before the run does: upstream divides by what is left."""
    model = write_model(
        "tiny",
        "train_config { optimizer { momentum_optimizer { learning_rate { "
        "cosine_decay_learning_rate { hold_base_rate_steps: 900 } } } } }",
    )
    body, _ = rate(make(model=model, num_train_steps=100, warmup_steps=60))
    assert body.warmup_steps == 60 and body.warmup_steps + body.hold_base_rate_steps < 100


def test_warmup_starts_under_the_peak(make, write_model):
    """A warm-up that would come down to the peak, which upstream refuses, starts at the peak."""
    model = write_model(
        "tiny",
        "train_config { optimizer { momentum_optimizer { learning_rate { "
        "cosine_decay_learning_rate { learning_rate_base: 1e-4 warmup_learning_rate: 2e-4 } } } } }",
    )
    body, _ = rate(make(model=model))
    assert body.warmup_learning_rate == body.learning_rate_base == pytest.approx(1e-4)


def test_manual_steps_are_stretched(make, write_model):
    """Boundaries keep their place in the run, rates are multiplied by the new peak over the old."""
    body, _ = rate(make(model=write_model("tiny", MANUAL % (1.0, "")), num_train_steps=200, learning_rate=0.5))
    assert body.initial_learning_rate == pytest.approx(0.5) and not body.warmup
    assert steps_of(body) == [(20, 0.05), (100, 0.005)]


def test_manual_steps_with_warmup(make, write_model):
    """In a schedule with warm-up the first boundary is its end, and stays within a tenth of the run."""
    body, _ = rate(make(model=write_model("tiny", MANUAL % (0.02, "warmup: true")), num_train_steps=50))
    assert body.warmup and body.initial_learning_rate == pytest.approx(0.02)
    assert steps_of(body) == [(5, 0.1), (25, 0.01)]


def test_manual_boundaries_stay_ascending(make, write_model):
    """In a very short run boundaries do not fall together: upstream refuses equal ones and 0."""
    body, _ = rate(make(model=write_model("tiny", MANUAL % (1.0, "")), num_train_steps=3))
    assert [entry.step for entry in body.schedule] == [1, 2]


def test_exponential_is_stretched(make, write_model):
    """Decay steps and burn-in shrink with the run."""
    model = write_model(
        "tiny",
        "train_config { num_steps: 1000 optimizer { momentum_optimizer { learning_rate { "
        "exponential_decay_learning_rate { initial_learning_rate: 0.1 decay_steps: 100 burnin_steps: 200 "
        "burnin_learning_rate: 0.01 min_learning_rate: 0.001 } } } } }",
    )
    body, kind = rate(make(model=model, num_train_steps=500, learning_rate=0.2))
    assert kind == "exponential_decay_learning_rate"
    assert (body.decay_steps, body.burnin_steps) == (50, 50)
    values = (body.initial_learning_rate, body.burnin_learning_rate, body.min_learning_rate)
    assert values == pytest.approx((0.2, 0.02, 0.002))


def test_shape_cosine(make):
    """CenterNet's manual steps become a cosine over the run when asked for; it has no warm-up."""
    body, kind = rate(make(model="centernet_resnet50_fpn", learning_rate_schedule="cosine", num_train_steps=90))
    assert kind == "cosine_decay_learning_rate"
    assert (body.total_steps, body.warmup_steps) == (90, 0) and body.learning_rate_base == pytest.approx(0.001)


def test_shape_step(make):
    """The step shape divides by ten at 2/3 and at 8/9 of the run, after the model's warm-up."""
    body, kind = rate(make(learning_rate_schedule="step", num_train_steps=900, learning_rate=0.1, warmup_steps=50))
    assert kind == "manual_step_learning_rate" and body.warmup
    assert steps_of(body) == [(50, 0.1), (600, 0.01), (800, 0.001)]


def test_shape_constant(make):
    """Constant without warm-up is upstream's constant; with it, a ramp to the rate that then stays."""
    body, kind = rate(make(learning_rate_schedule="constant", learning_rate=0.1, warmup_steps=0))
    assert kind == "constant_learning_rate" and body.learning_rate == pytest.approx(0.1)
    body, kind = rate(make(learning_rate_schedule="constant", learning_rate=0.1, warmup_steps=7))
    assert kind == "manual_step_learning_rate" and body.warmup
    assert steps_of(body) == [(7, 0.1)] and body.initial_learning_rate < 0.1


@pytest.mark.parametrize("optimizer", ["adam_optimizer", "rms_prop_optimizer"])
def test_other_optimizers(make, write_model, optimizer):
    """The schedule is found in whichever optimizer the model has."""
    constant = "learning_rate { constant_learning_rate { learning_rate: 0.5 } }"
    model = write_model("tiny", f"train_config {{ optimizer {{ {optimizer} {{ {constant} }} }} }}")
    assert rate(make(model=model, batch_size=2))[0].learning_rate == pytest.approx(0.5 * math.sqrt(2 / 8))


def test_no_optimizer(make, write_model, tmp_path):
    """A config without an optimizer is refused before upstream trips over it."""
    path = tmp_path / "bare.config"
    path.write_text('model { ssd { feature_extractor { type: "a_keras" } } } train_config { num_steps: 10 }')
    with refused(SettingsError, where="train_config", flag="--config_override", about="no optimizer"):
        make(model=str(path))


def test_no_steps(make, write_model):
    """A model for an endless run needs num_train_steps."""
    model = write_model("tiny", "train_config { num_steps: 0 }")
    with refused(SettingsError, where="/model.config", flag="--num_train_steps"):
        make(model=model)


@pytest.mark.parametrize(
    "shape",
    [
        "cosine_decay_learning_rate { learning_rate_base: 0.4 warmup_learning_rate: 0.2 total_steps: 9 }",
        "manual_step_learning_rate { initial_learning_rate: 0.2 schedule { step: 5 learning_rate: 0.4 } }",
        "exponential_decay_learning_rate { initial_learning_rate: 0.4 burnin_learning_rate: 0.2 }",
        "constant_learning_rate { learning_rate: 0.4 }",
    ],
)
def test_all_rates_of_a_schedule_are_scaled(shape):
    """Warm-up, every step and the least; nothing that is counted in steps."""
    text = f"train_config {{ optimizer {{ momentum_optimizer {{ learning_rate {{ {shape} }} }} }} }}"
    config, expected = (
        pipeline_config.parse_pipeline(one, where="test")
        for one in (text, text.replace("0.4", "0.04").replace("0.2", "0.02"))
    )
    schedule.scale(schedule.rate_message(config), 0.1)
    # float32 rounds the product and the literal each on its own.
    printed, wanted = (
        re.sub(r"0\.\d+", lambda found: f"{float(found[0]):.5g}", str(one)) for one in (config, expected)
    )
    assert printed == wanted
