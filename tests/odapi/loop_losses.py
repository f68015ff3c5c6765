"""Prints the losses of each step of `train_loop`.

python loop_losses.py TREE CONFIG MODEL_DIR STEPS, where an empty TREE stands for the installed OD API.
"""

import json
import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
tree, config, model_dir, steps = sys.argv[1:]
if tree:
    sys.path.insert(0, tree)

import tensorflow as tf  # noqa: E402
from events import scalars  # noqa: E402
from object_detection import model_lib_v2  # noqa: E402

assert not tree or model_lib_v2.__file__.startswith(tree), model_lib_v2.__file__
tf.keras.utils.set_random_seed(1)
model_lib_v2.train_loop(
    config,
    model_dir,
    train_steps=int(steps),
    num_steps_per_iteration=1,
    checkpoint_every_n=1000,
    record_summaries=False,
)
json.dump(scalars(os.path.join(model_dir, "train")), sys.stdout)
