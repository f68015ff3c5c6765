"""Stand-ins for the data files that upstream's unit tests read and its sdist leaves out.

They have upstream's names and shapes, not its content: pictures are noise with a rectangle, the configuration is
a small SSD. Only what the TF2 tests ask of them is kept: 37 classes, the two names that tests spell out, a
picture of the size that a test expects.
"""

import io
import random
from pathlib import Path

CLASSES = ["Abyssinian", "american_bulldog", *(f"pet_{i}" for i in range(3, 38))]
PICTURES = 4

CONFIG = """\
model {
  ssd {
    num_classes: 37
    image_resizer { fixed_shape_resizer { height: 160 width: 160 } }
    feature_extractor {
      type: "ssd_mobilenet_v2_keras"
      depth_multiplier: 0.35
      min_depth: 16
      override_base_feature_extractor_hyperparams: true
      conv_hyperparams {
        activation: RELU_6
        regularizer { l2_regularizer { weight: 4e-5 } }
        initializer { truncated_normal_initializer { stddev: 0.03 } }
        batch_norm { scale: true decay: 0.97 epsilon: 0.001 }
      }
    }
    box_predictor {
      convolutional_box_predictor {
        kernel_size: 3
        conv_hyperparams {
          activation: RELU_6
          regularizer { l2_regularizer { weight: 4e-5 } }
          initializer { truncated_normal_initializer { stddev: 0.03 } }
        }
      }
    }
    anchor_generator { ssd_anchor_generator { num_layers: 6 aspect_ratios: [1.0, 2.0, 0.5] } }
    box_coder { faster_rcnn_box_coder { y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 } }
    matcher { argmax_matcher { force_match_for_each_row: true } }
    similarity_calculator { iou_similarity { } }
    loss {
      classification_loss { weighted_sigmoid_focal { } }
      localization_loss { weighted_smooth_l1 { } }
    }
    normalize_loss_by_num_matches: true
    post_processing {
      batch_non_max_suppression { max_detections_per_class: 20 max_total_detections: 20 }
      score_converter: SIGMOID
    }
  }
}
train_config {
  batch_size: 2
  num_steps: 10
  fine_tune_checkpoint: "none"
  optimizer { adam_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.001 } } } }
  data_augmentation_options { random_horizontal_flip { } }
}
train_input_reader {
  label_map_path: "overridden by the tests"
  tf_record_input_reader { input_path: "overridden by the tests" }
}
eval_config { metrics_set: "coco_detection_metrics" num_examples: 4 }
eval_input_reader {
  label_map_path: "overridden by the tests"
  shuffle: false
  tf_record_input_reader { input_path: "overridden by the tests" }
}
"""


def write(tree: Path) -> None:
    """Put the stand-ins where the tests in `tree` look for them."""
    files = {
        "data/pet_label_map.pbtxt": "".join(
            f"item {{ id: {i} name: '{name}' }}\n" for i, name in enumerate(CLASSES, 1)
        ).encode(),
        "samples/configs/ssd_mobilenet_v2_pets_keras.config": CONFIG.encode(),
        "test_images/image1.jpg": _picture(1, 636, 512),
    }
    for name, content in files.items():
        path = tree / "object_detection" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    _write_records(tree / "object_detection" / "test_data" / "pets_examples.record")


def _picture(seed: int, height: int, width: int) -> bytes:
    """A JPEG of noise with one rectangle over its middle half."""
    from PIL import Image, ImageDraw

    noise = random.Random(seed).randbytes(height * width * 3 // 64)
    image = Image.frombytes("RGB", (width // 8, height // 8), noise[: (width // 8) * (height // 8) * 3])
    image = image.resize((width, height))
    box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    ImageDraw.Draw(image).rectangle(box, fill=(200, 40 * seed, 40))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def _write_records(path: Path) -> None:
    """Examples of one box each, in the layout of upstream's decoder."""
    import tensorflow as tf

    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(PICTURES):
            values = {
                "image/encoded": _picture(i, 240, 320),
                "image/format": b"jpeg",
                "image/filename": f"{i}.jpg".encode(),
                "image/source_id": str(i).encode(),
                "image/key/sha256": str(i).encode(),
                "image/height": 240,
                "image/width": 320,
                "image/object/bbox/ymin": 0.25,
                "image/object/bbox/xmin": 0.25,
                "image/object/bbox/ymax": 0.75,
                "image/object/bbox/xmax": 0.75,
                "image/object/class/text": CLASSES[i % 2].encode(),
                "image/object/class/label": i % 2 + 1,
            }
            features = tf.train.Features(feature={name: feature(value) for name, value in values.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
