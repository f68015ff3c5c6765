"""The contents of one record, as upstream's own decoder takes them."""

from typing import Any

import tensorflow as tf
from object_detection.builders import decoder_builder

from app.odapi.training_batch import describe


class RecordDecoder:
    """Says what upstream's decoder of an input reader finds wrong with a record; an empty string: nothing."""

    def __init__(self, reader: Any):
        self._decoder = decoder_builder.build(reader)

    def __call__(self, record: bytes) -> str:
        try:
            self._decoder.decode(tf.constant(record))
        except tf.errors.ResourceExhaustedError:
            raise
        except (tf.errors.OpError, ValueError) as error:
            return describe(error)
        return ""
