"""The running loop as the hook of `train_loop` sees it, and its line for the log."""

from typing import Any, Protocol


class Loop(Protocol):
    """The running loop as the patched `model_lib_v2` shows it (its `train_seam.Loop`)."""

    step: int
    train_steps: int
    batch_size: int
    is_chief: bool
    restored_from: str | None
    fine_tuned_from: str | None
    checkpoints: dict[int, str]

    def losses(self) -> dict[str, float]: ...
    def learning_rate(self) -> float: ...
    def first_non_finite(self) -> int | None: ...
    def write_scalars(self, scalars: dict[str, float]) -> None: ...
    def save(self) -> str: ...
    def delete(self, steps: list[int]) -> None: ...


def describe(loop: Loop, row: dict[str, Any]) -> str:
    """A progress line: `row` is what metrics.jsonl gets of the step."""
    rate = row["steps_per_sec"]
    left = (loop.train_steps - loop.step) / rate if rate else 0
    return (
        f"train | step {loop.step}/{loop.train_steps} | loss {row['loss']:.4g} | "
        f"lr {row['learning_rate']:.3g} | {rate:.2f} steps/s | {row['examples_per_sec']:.1f} images/s | "
        f"eta {int(left // 60)}:{int(left % 60):02d}"
    )
