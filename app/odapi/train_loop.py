"""The patched `train_loop`, run under a hook that decides."""

from pathlib import Path
from typing import Any, Protocol

from object_detection import model_lib_v2, train_seam

from app.errors import SettingsError
from app.settings import flag


class Hook(Protocol):
    """What `train_loop` asks: see `object_detection.train_seam.TrainLoopHook`."""

    def resume_from(self, model_dir: str) -> str | None: ...
    def begin(self, loop: Any) -> None: ...
    def steps_to_run(self, loop: Any) -> int: ...
    def after_steps(self, loop: Any) -> None: ...
    def end(self, loop: Any) -> None: ...


NonFiniteError = train_seam.NonFiniteError


def train(
    pipeline_config: Path,
    model_dir: Path,
    hook: Hook,
    strategy: Any,
    *,
    summary_every_n: int,
    image_summary_every_n: int,
    image_summary_max_outputs: int,
    num_steps_per_iteration: int,
) -> None:
    """Trains the model of `pipeline_config` in `model_dir` until the hook says enough.

    Raises NonFiniteError, SettingsError where a checkpoint does not fit the model, and what the hook raises.
    """
    try:
        with strategy.scope():
            model_lib_v2.train_loop(
                str(pipeline_config),
                str(model_dir),
                hook=hook,
                summary_every_n=summary_every_n,
                image_summary_every_n=image_summary_every_n,
                image_summary_max_outputs=image_summary_max_outputs,
                num_steps_per_iteration=num_steps_per_iteration,
            )
    except (AssertionError, ValueError) as error:
        if not _is_misfit(error):
            raise
        raise SettingsError(
            f"the checkpoint does not fit the model: {str(error).splitlines()[0][:300]}",
            where=str(model_dir),
            remedy=f"the model was changed since: start another run with {flag('run', 'NAME')}",
        ) from error


def _is_misfit(error: Exception) -> bool:
    """TensorFlow's words for a checkpoint whose values find no variable, or one of another shape."""
    return isinstance(error, AssertionError) or "incompatible tensor with shape" in str(error)
