"""Moving averages: what training keeps of them is evaluated, detected with and exported."""

import numpy as np
import pytest
from command import detbox, place

from app.run.directory import Run

pytestmark = pytest.mark.odapi


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    """A run of 12 steps whose rate is high enough to part the weights from their averages."""
    models = tmp_path_factory.mktemp("averaged")
    flags = ["--sample_images=16", "--batch_size=2", "--num_train_steps=12", "--learning_rate=0.05", "--warmup_steps=0",
             "--learning_rate_schedule=constant", "--checkpoint_every_n=6", "--eval_image_outputs=0"]  # fmt: skip
    model = models / "averaged.config"
    from app.pipeline.origin import preset_text

    model.write_text(preset_text("tiny").replace("use_moving_average: false", "use_moving_average: true"))
    run = Run(models / "r")
    made = detbox("prepare", *place(run), *flags, f"--model={model}", "--batch_norm_decay=0.9")
    assert made.returncode == 0 and "use_moving_averages is true" in made.stderr, made.stderr
    for command in ("train", "evaluate"):
        result = detbox(command, *place(run))
        assert result.returncode == 0, result.stderr
    return run


def test_training_goes_on_from_its_averages(trained):
    """A resumed run takes up the averages; each value of the checkpoint finds its place."""
    result = detbox("train", *place(trained), "--num_train_steps=14")
    assert result.returncode == 0, result.stderr
    assert "resumed from" in result.stderr


def test_the_averages_are_loaded_by_evaluator_detector_and_exporter(trained, tmp_path):
    """Every trainable variable has its average; all three give what a checkpoint gives that has only the averages."""
    from app.odapi import runtime

    tf = runtime.start(use_gpu=False, seed=0)
    from app.odapi.checkpoint_detector import CheckpointDetector
    from app.odapi.evaluator import Evaluator
    from app.odapi.exporter import Exporter

    prefix = trained.checkpoint(12)
    reader = tf.train.load_checkpoint(str(prefix))
    ending = "/.OPTIMIZER_SLOT/optimizer/average/.ATTRIBUTES/VARIABLE_VALUE"
    averages = [key for key in reader.get_variable_to_shape_map() if key.endswith(ending)]
    assert averages
    kernel = next(key for key in averages if "kernel" in key)
    raw = reader.get_tensor(kernel.replace(ending, "/.ATTRIBUTES/VARIABLE_VALUE"))
    assert np.abs(reader.get_tensor(kernel) - raw).max() > 1e-6
    image = np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)
    found = CheckpointDetector(trained.pipeline_config, prefix).detect([image])[0]
    exporter = Exporter(trained.pipeline_config, prefix)
    exporter.saved_model(tmp_path / "saved_model", "image_tensor", "serving_default")
    exporter.checkpoint(tmp_path / "checkpoint")
    exported = CheckpointDetector(trained.pipeline_config, tmp_path / "checkpoint" / "ckpt-0").detect([image])[0]
    served = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["serving_default"](tf.constant(image[None]))
    np.testing.assert_allclose(found.scores, exported.scores, atol=1e-6)
    np.testing.assert_allclose(found.scores, served["detection_scores"][0].numpy()[: len(found.scores)], atol=1e-6)
    evaluator = Evaluator(trained.pipeline_config)
    losses = evaluator.evaluate(prefix).metrics["Loss/total_loss"]
    assert np.isfinite(losses)
    mine = {variable.name: variable.numpy() for variable in evaluator._model.trainable_variables}
    there = {tuple(reader.get_tensor(key).ravel()[:8]) for key in averages}
    assert all(tuple(value.ravel()[:8]) in there for value in mine.values())


def test_raw_weights_are_evaluated_where_that_is_asked_for(make_config):
    """`use_moving_averages` follows the optimizer's own, and an override has the last word."""
    assert make_config("").eval_config.use_moving_averages
    assert not make_config("eval_config { use_moving_averages: false }").eval_config.use_moving_averages


@pytest.fixture
def make_config(tmp_path):
    from app.pipeline.build import Request, build
    from app.pipeline.origin import preset_text

    path = tmp_path / "m.config"
    path.write_text(preset_text("tiny").replace("use_moving_average: false", ""))
    return lambda override: build(Request(model=str(path), num_classes=1, config_override=override)).config
