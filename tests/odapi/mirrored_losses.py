"""Prints the loss of each step of a run that trains on so many virtual CPU devices.

python mirrored_losses.py MODELS_DIR RUN DEVICES STEPS
"""

import json
import sys
from pathlib import Path

from app.odapi import runtime
from app.run.directory import find_run
from app.run.metrics import read_metrics
from app.settings import Settings
from app.training.stop import StopFlag
from app.training.trainer import Trainer
from app.write_schedule import write_schedule

models, name, devices, steps = sys.argv[1:]
run = find_run(Path(models), name)
tf = runtime.start(use_gpu=False, seed=0)
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(devices))
from app.odapi import train_loop  # noqa: E402
from app.odapi.training_images import TrainingImages  # noqa: E402

strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(int(devices))])
schedule = write_schedule(Settings(log_every_n=1, image_summary_every_n=0), int(steps))
trainer = Trainer(run, schedule, StopFlag(), newest=None)
records = [str(run.records / "train*")]
train_loop.train(run.pipeline_config, run.root, trainer, strategy, records, TrainingImages({}, 0))
json.dump([row["loss"] for row in read_metrics(run)], sys.stdout)
