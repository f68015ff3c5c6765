"""The factor that keeps gradients within the range of float16."""

from typing import Any

import tensorflow as tf

FIRST = 2.0**15
GROWS_AFTER = 2000
"""Updates in a row that doubled gradients would have to fit."""


class LossScale:
    """Doubles after `GROWS_AFTER` finite updates and halves at one that is not finite, which is left out.

    It is no part of the checkpoint: a run that goes on finds it again within a few steps. To be made in the scope of
    the strategy.
    """

    def __init__(self) -> None:
        self.scale = self._variable(FIRST, tf.float32)
        self._since = self._variable(0, tf.int64)

    @staticmethod
    def _variable(value: float, dtype: Any) -> Any:
        only_first = tf.VariableAggregation.ONLY_FIRST_REPLICA  # All replicas have the same.
        return tf.Variable(value, trainable=False, dtype=dtype, aggregation=only_first)

    def all_finite(self, gradients: list[Any]) -> Any:
        """Whether the gradients of all replicas are."""
        bad = tf.add_n([tf.cast(tf.reduce_any(~tf.math.is_finite(one)), tf.int32) for one in gradients])
        return tf.equal(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, bad), 0)

    def update(self, is_finite: Any) -> Any:
        """Adapts the scale. Returns whether it was the least one already: then the scale is not to blame."""
        is_least = self.scale <= 1.0
        since = tf.where(is_finite, self._since + 1, 0)
        grows = since >= GROWS_AFTER
        scale = tf.where(is_finite, tf.where(grows, self.scale * 2, self.scale), tf.maximum(self.scale / 2, 1.0))
        with tf.control_dependencies([is_least, since, scale]):
            self.scale.assign(scale)
            self._since.assign(tf.where(grows, tf.zeros_like(since), since))
        return is_least
