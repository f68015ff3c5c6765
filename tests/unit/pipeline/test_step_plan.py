"""How many passes an update is made in."""

import pytest
from refusals import refused

from app.errors import SettingsError
from app.machine.precision import Choice
from app.pipeline import step_plan
from app.pipeline.build import Request, build
from app.settings import Settings


@pytest.mark.parametrize(
    ("batch_size", "effective", "update", "parts"), [(8, 0, 8, 1), (0, 0, 128, 1), (8, 8, 8, 1), (8, 64, 64, 8)]
)
def test_passes_of_an_update(batch_size, effective, update, parts):
    """One, unless an effective batch is asked for; the batch and the learning rate of the config are the update's."""
    pipeline = build(Request(model="ssd_mobilenet_v2_fpnlite_320", num_classes=1, batch_size=batch_size,
                             effective_batch_size=effective))  # fmt: skip
    plan = step_plan.make(
        pipeline.config, choice=Choice("off", ""), batch_size=batch_size, effective_batch_size=effective, jit=False
    )
    assert (pipeline.batch_size, plan.parts) == (update, parts)
    same = build(Request(model="ssd_mobilenet_v2_fpnlite_320", num_classes=1, batch_size=update))
    assert pipeline.learning_rate == same.learning_rate


@pytest.mark.parametrize(
    ("batch_size", "effective", "flag"), [(8, 12, "effective_batch_size=16"), (8, 4, "effective"), (0, 8, "batch_size")]
)
def test_passes_that_do_not_make_up_an_update_are_refused(batch_size, effective, flag):
    """With the nearest that do, when the config is made."""
    with refused(SettingsError, flag=flag):
        build(Request(model="tiny", num_classes=1, batch_size=batch_size, effective_batch_size=effective))


def test_what_is_said_of_it():
    """The precision always; passes, with what batch norm makes of them, and XLA where they are."""
    assert len(step_plan.PLAIN.describe()) == 1
    lines = step_plan.StepPlan(precision="float16", parts=4, jit=True, why="so it is").describe()
    assert [word in line for word, line in zip(("so it is", "batch norm", "XLA"), lines, strict=True)] == [True] * 3


def test_the_defaults_leave_the_step_as_it_is_on_a_cpu():
    """Upstream's own step is run."""
    settings = Settings()
    assert (settings.mixed_precision, settings.effective_batch_size, settings.jit_compile) == ("off", 0, False)
    assert step_plan.PLAIN.is_plain
