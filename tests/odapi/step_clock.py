"""When each step of a training loop begins and how long it waits for its input, measured within its graph."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_SECONDS = 0.05


class StepClock:
    """Made before the loop, with TensorFlow imported: from then on each batch that a graph takes leaves a row.

    `rows`: Unix seconds before and after the batch was had. `cpu_at`: processor seconds of the process at a time.
    `sign`: a file that is written as soon as there are `warm` rows.
    """

    def __init__(self, tf: Any, most: int, sign: Path, warm: int):
        from tensorflow.python.data.ops.iterator_ops import OwnedIterator
        from tensorflow.python.distribute.input_lib import DistributedIteratorBase

        self._tf, self._sign, self._warm = tf, sign, warm
        with tf.device("/CPU:0"):
            self._table = tf.Variable(np.zeros((most, 2)), trainable=False)
            self._count = tf.Variable(0, trainable=False, dtype=tf.int64)
        for kind in (OwnedIterator, DistributedIteratorBase):
            self._time(kind)
        self._is_warm = False
        self._samples = [(time.time(), time.process_time())]
        threading.Thread(target=self._sample, daemon=True).start()

    def _time(self, kind: Any) -> None:
        tf, original = self._tf, kind.next

        @tf.autograph.experimental.do_not_convert
        def next_timed(iterator: Any) -> Any:
            if not tf.inside_function():
                return original(iterator)
            with tf.device("/CPU:0"):
                number = self._count.read_value()
                with tf.control_dependencies([number]):
                    before = tf.timestamp()
            with tf.control_dependencies([before]):
                batch = original(iterator)
            with tf.device("/CPU:0"), tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
                after = tf.timestamp()
                self._table.scatter_nd_update([[number]], [[before, after]])
                self._count.assign_add(1)
            return batch

        kind.next = next_timed

    def _sample(self) -> None:
        while True:
            time.sleep(SAMPLE_SECONDS)
            self._samples.append((time.time(), time.process_time()))
            if not self._is_warm and len(self.rows) >= self._warm:
                self._is_warm = True
                self._sign.touch()

    @property
    def rows(self) -> np.ndarray:
        return self._table.numpy()[: int(self._count.numpy())]

    def cpu_at(self, moment: float) -> float:
        moments, seconds = zip(*self._samples, strict=True)
        return float(np.interp(moment, moments, seconds))
