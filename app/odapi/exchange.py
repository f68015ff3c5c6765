"""What of upstream's is replaced while a loop of ours runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection import inputs


@contextmanager
def exchanged(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Within it, the module or object `owner` has `value` by that name."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def batches_mapped(
    change: Callable[[Any, Any], tuple[Any, Any]], see_model: Callable[[Any], None] = lambda model: None
) -> Iterator[None]:
    """Within it, the batches (features, labels) of training input that is made come by `change`.

    `see_model` is given the model that the input is made for.
    """
    made = inputs.train_input

    def train_input(*args: Any, **kwargs: Any) -> Any:
        see_model(kwargs.get("model"))
        return made(*args, **kwargs).map(tf.autograph.experimental.do_not_convert(change))

    with exchanged(inputs, "train_input", train_input):
        yield
