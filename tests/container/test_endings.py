"""What lasts ends the whole: nothing is left that would keep a rented machine."""

import pytest
from compose_project import SHORT, wait_for

pytestmark = pytest.mark.container


def test_a_loss_that_is_not_finite_ends_the_project(projects, image):
    """The trainer is not started again, the evaluator ends with its code, TensorBoard too."""
    options = {"DETBOX_LEARNING_RATE": "1e12", "DETBOX_TRIAL_SECS": "0", "DETBOX_TENSORBOARD_LINGER": "1"}
    project = projects(**SHORT, **options)
    project.ok("up", "--detach")
    assert project.run("wait", "evaluator", timeout=600).returncode == 6
    wait_for(lambda: not project.ok("ps", "--quiet").split(), 60, "the other services end")
    codes = {name: project.inspect(name)["State"]["ExitCode"] for name in ("trainer", "evaluator", "tensorboard")}
    assert codes == {"trainer": 6, "evaluator": 6, "tensorboard": 0}
    assert project.inspect("trainer")["RestartCount"] == 0 and "restart 1" not in project.logs("trainer")
    assert "is not finite" in project.logs("trainer").splitlines()[-1]
    beat = project.volume().json("sample/status/trainer.json")
    assert (beat["state"], beat["code"]) == ("failed", 6)
    project.down()
