"""What TensorBoard is shown of each evaluation: scalars, confusion matrix, curves, images side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from PIL import Image

from app.dataset.card import Card
from app.evaluation import details
from app.evaluation.event_pace import EventPace
from app.evaluation.matching import Errors, EvaluatedImage
from app.report.held_out_images import class_thresholds, draw_side_by_side
from app.run.directory import Run


class Writer(Protocol):
    """The event file, see `odapi.eval_events.EvalEvents`."""

    def write(
        self,
        step: int,
        scalars: Mapping[str, float],
        images: Mapping[str, Image.Image],
        may_write: Callable[[int], bool],
    ) -> None: ...


class EvaluationEvents:
    """Writes what the budget has room for; images side by side every `every` evaluations, in the setting's `order`."""

    def __init__(self, run: Run, card: Card | None, pace: EventPace, *, every: int, order: str):
        self._run, self._card, self._pace, self._every, self._order = run, card, pace, every, order

    def write(
        self,
        writer: Writer,
        step: int,
        number: int,
        scalars: Mapping[str, float],
        images: Sequence[EvaluatedImage],
        errors: Sequence[Errors],
        described: Mapping[str, Any],
        most: int,
    ) -> None:
        """Writes evaluation `number`, from 0, with `most` images side by side at most."""
        drawn = self._draw(step, number, images, errors, described, most) if self._pace.begin_images(step) else {}
        thinning = self._pace.thinning(step, scalars)
        writer.write(step, {} if number % thinning else scalars, drawn, lambda size: self._pace.take(step, size))

    def _draw(
        self,
        step: int,
        number: int,
        images: Sequence[EvaluatedImage],
        errors: Sequence[Errors],
        described: Mapping[str, Any],
        most: int,
    ) -> dict[str, Image.Image]:
        from app.evaluation import figures

        confusion, iou = described["confusion"], described["iou"]
        threshold = "their F1-optimal scores" if described["score"] is None else f"score {described['score']:g}"
        title = f"step {step}: IoU {iou:g}, from {threshold} on"
        drawn = {
            "eval_confusion_matrix": figures.draw_confusion(confusion["labels"], confusion["matrix"], title),
            "eval_precision_recall": figures.draw_curves(described["classes"], iou),
        }
        if number % self._every == 0 and self._card:
            ranks = details.sort_worst_first(images, errors) if self._order == "worst" else range(len(images))
            selected = [(images[at], errors[at]) for at in list(ranks)[:most]]
            pairs = draw_side_by_side(self._run, self._card, selected, class_thresholds(described))
            drawn |= {f"eval_side_by_side_{rank}": image for rank, image in enumerate(pairs)}
        return drawn
