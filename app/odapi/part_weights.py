"""What the loss of a part of a batch counts in the loss of the whole batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from object_detection.meta_architectures import center_net_meta_arch, ssd_meta_arch

from app.odapi.exchange import exchanged


class Divisor:
    """By what a meta-architecture divides the sum of its losses over a batch.

    `things` holds, while the loss of a part is traced, the number of what it is averaged over: matched anchors of SSD,
    boxes of CenterNet. Others average over images, of which all parts have as many.
    """

    def __init__(self) -> None:
        self.things: Any = tf.constant(1.0)

    def of_part(self) -> Any:
        """What the part's loss was divided by: as upstream has it, never less than 1."""
        return tf.maximum(self.things, 1.0)


@contextmanager
def divisor_seen(model: Any) -> Iterator[Divisor]:
    """Within it, `model.loss` leaves by what it divides with the divisor."""
    divisor = Divisor()
    if isinstance(model, ssd_meta_arch.SSDMetaArch):
        with _matches_seen(model, divisor):
            yield divisor
    elif isinstance(model, center_net_meta_arch.CenterNetMetaArch):
        with _boxes_seen(divisor):
            yield divisor
    else:
        yield divisor


@contextmanager
def _matches_seen(model: Any, divisor: Divisor) -> Iterator[None]:
    if not model._normalize_loss_by_num_matches:
        divisor.things = tf.constant(0.0)  # Nothing is divided: parts add up.
        yield
        return
    loss = model._localization_loss

    def localization_loss(*args: Any, weights: Any, **kwargs: Any) -> Any:
        divisor.things = tf.reduce_sum(weights)
        return loss(*args, weights=weights, **kwargs)

    with exchanged(model, "_localization_loss", localization_loss):
        yield


@contextmanager
def _boxes_seen(divisor: Divisor) -> Iterator[None]:
    count = center_net_meta_arch.get_num_instances_from_weights

    def count_boxes(weights: list[Any]) -> Any:
        divisor.things = tf.cast(tf.add_n([tf.math.count_nonzero(one) for one in weights]), tf.float32)
        return count(weights)

    with exchanged(center_net_meta_arch, "get_num_instances_from_weights", count_boxes):
        yield
