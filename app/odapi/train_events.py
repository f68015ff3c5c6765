"""What the trainer tells TensorBoard besides figures and images."""

import time

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from tensorflow.python.ops import summary_ops_v2


def mark_restart(step: int) -> None:
    """Writes, to the summary writer of the moment, that training goes on after `step`.

    TensorBoard drops what it has read of steps from that of the event on, whichever file that is in. The first such
    event of a run is none of a restart to it, so there are two: earlier versions have written none
    (`_CheckForRestartAndMaybePurge` in tensorboard/backend/event_processing/plugin_event_accumulator.py).
    """
    start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    event = tf.compat.v1.Event(wall_time=time.time(), step=step + 1, session_log=start)
    for _ in range(2):
        summary_ops_v2.import_event(event.SerializeToString())
