"""A data set that a step divides evenly, and a model whose loss is the mean over any parts of a batch.

The loss of an image is divided by the anchors that match in its replica's part of the batch, so every image has the
same boxes; batch norm's statistics and the clipping of gradients are those of a part as well, so both are off.
"""

import json

import numpy as np
from PIL import Image

CONFIG = (
    "model { ssd { freeze_batchnorm: true } } "
    "train_config { gradient_clipping_by_norm: 0 } "
    "train_input_reader { shuffle: false num_readers: 2 read_block_length: 1 }"
)
FLAGS = [
    "--image_size=64", "--batch_size=2", "--num_shards=2", "--augmentations=none", f"--config_override={CONFIG}",
    "--learning_rate=0.01", "--log_every_n=1", "--summary_every_n=10", "--checkpoint_every_n=100",
    "--image_summary_every_n=0",
]  # fmt: skip
SIDE = 64
BOXES = ([4, 4, 24, 24], [30, 20, 28, 36])
"""x, y, width, height in pixels."""


def write(folder, count=10):
    """`count` images of noise with the same boxes, as COCO's JSON with the images beside it."""
    folder.mkdir()
    noise, images, annotations = np.random.default_rng(0), [], []
    for number in range(count):
        name = f"{number:02}.png"
        Image.fromarray(noise.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        annotations += [
            {"id": 10 * number + nth, "image_id": number, "category_id": 1 + nth, "bbox": box, "area": box[2] * box[3]}
            for nth, box in enumerate(BOXES)
        ]
    categories = [{"id": 1, "name": "near"}, {"id": 2, "name": "far"}]
    found = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(found), encoding="utf-8")
    return folder
