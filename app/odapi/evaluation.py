"""The patched `eval_continuously` over a stream of checkpoints, with the pictures of each pass counted."""

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from object_detection import inputs, model_lib_v2

log = logging.getLogger(__name__)


class _Counted:
    """A dataset that counts the pictures of its newest pass. Iterating again starts anew."""

    def __init__(self, dataset: Any):
        self._dataset, self.pictures = dataset, 0

    def __iter__(self) -> Iterator[Any]:
        self.pictures = 0
        for features, labels in self._dataset:
            self.pictures += int(features[inputs.HASH_KEY].shape[0])
            yield features, labels


def evaluate(
    pipeline_config: Path,
    model_dir: Path,
    checkpoints: Iterable[str],
    on_evaluated: Callable[[str, int, int, dict[str, float]], None],
    *,
    sample_1_of_n_eval_examples: int = 1,
    config_override: str = "",
) -> None:
    """Evaluates each of `checkpoints` (prefixes) as it comes, building and tracing the model once.

    Calls `on_evaluated(prefix, step, pictures, metrics)`; `metrics` has upstream's names, such as
    `DetectionBoxes_Precision/mAP` and `Loss/total_loss`. Events go to `model_dir/eval`.
    """
    counted: list[_Counted] = []

    def wrap(dataset: Any) -> _Counted:
        counted.append(_Counted(dataset))
        return counted[-1]

    def report(prefix: str, step: int, metrics: dict[str, Any]) -> None:
        on_evaluated(prefix, step, counted[-1].pictures, {name: float(value) for name, value in metrics.items()})

    # pycocotools prints its table to stdout, which belongs to results.
    with contextlib.redirect_stdout(_ToLog()):
        model_lib_v2.eval_continuously(
            str(pipeline_config),
            model_dir=str(model_dir),
            config_override=config_override or None,
            sample_1_of_n_eval_examples=sample_1_of_n_eval_examples,
            checkpoints=checkpoints,
            on_evaluated=report,
            wrap_dataset=wrap,
        )


class _ToLog(io.TextIOBase):
    """Sends printed lines to this module's logger at debug level."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.rstrip())
        return len(text)
