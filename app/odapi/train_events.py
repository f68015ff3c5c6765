"""What the trainer tells TensorBoard besides figures and images."""

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf

from app.events.budget import TRAINING_SHARE
from app.odapi.summaries import write_scalars
from app.odapi.training_images import TrainingImages
from app.protos import label_map
from app.run.directory import Run
from app.run.files import bytes_under
from app.training.event_log import EventLog
from app.write_schedule import WriteSchedule


def open_log(run: Run, schedule: WriteSchedule, *, with_images: bool) -> tuple[EventLog, TrainingImages]:
    """What the run's events are written by, within what is left of its budget, and what looks at its batches."""
    names = label_map.read_class_names(run.label_map) if run.label_map.is_file() else {}
    with_images = with_images and schedule.image_summary_every_n > 0
    images = TrainingImages(names, schedule.image_summary_max_outputs if with_images else 0)
    limit = int(schedule.event_log_budget * TRAINING_SHARE) if schedule.event_log_budget else None
    log = EventLog(
        schedule,
        write_at=write_scalars,
        hand_over=tf.summary.flush,
        images=images if with_images else None,
        limit=limit,
        spent=bytes_under(run.train_events),
    )
    return log, images
