"""`detect` with models that other programs made, and with one that was promoted."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, copy_of, environment
from PIL import Image

from app.dataset import card as cards
from app.jobs import detect, promote
from app.run.files import read_json
from app.settings import Settings

pytestmark = pytest.mark.odapi
MAP = 'item { id: 3 name: "/m/02" display_name: "traffic light" }\n'


@pytest.fixture(scope="module")
def tf():
    from app.odapi import runtime

    return runtime.start(use_gpu=False, seed=1)


@pytest.fixture
def images(tmp_path) -> Path:
    """Two images of different sizes with a red box each."""
    folder = tmp_path / "pics"
    for name, size, box in (("a/1.png", (60, 40), (10, 20, 30, 50)), ("b/1.png", (64, 96), (0, 0, 48, 32))):
        pixels = np.full((size[1], size[0], 3), 120, np.uint8)
        pixels[box[0] : box[2], box[1] : box[3]] = (255, 0, 0)
        (folder / name).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_a_frozen_graph_of_tf1(tf, tmp_path, images):
    """Built, initialized and frozen in a session as TF1's exporter does; without any run, with a label map of TF1."""
    graph = tmp_path / "download" / "frozen_inference_graph.pb"
    graph.parent.mkdir()
    graph.write_bytes(_frozen_by_tf1(tf.compat.v1))
    (tmp_path / "map.pbtxt").write_text(MAP)
    command = ["detect", "pics", f"--detector={graph}", "--label_map=map.pbtxt", "--json"]
    result = subprocess.run(
        [sys.executable, "-m", "entrypoint", *command],
        cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["images"], told["classes"]) == (2, {"traffic light": 2})
    made = json.loads((tmp_path / "detected" / "detections.json").read_text())
    assert [annotation["bbox"] for annotation in made["annotations"]] == [[20, 10, 30, 20], [0, 0, 32, 48]]
    assert [annotation["score"] for annotation in made["annotations"]] == [0.75, 0.75]
    assert (tmp_path / "detected" / "a" / "1.png.jpg").is_file()
    assert not (tmp_path / "models").exists()


@pytest.fixture(scope="module")
def untrained(tf, prepared, tmp_path_factory) -> Path:
    """A folder with a checkpoint of the run's model as it is before training, and its pipeline.config."""
    from object_detection.builders import model_builder
    from object_detection.utils import config_util

    folder = tmp_path_factory.mktemp("untrained")
    configs = config_util.get_configs_from_pipeline_file(str(prepared.pipeline_config))
    model = model_builder.build(configs["model"], is_training=False)
    model.postprocess(model.predict(*model.preprocess(tf.zeros([1, 64, 64, 3]))), tf.constant([[64, 64, 3]]))
    tf.train.Checkpoint(model=model).save(str(folder / "ckpt"))
    config_util.save_pipeline_config(config_util.create_pipeline_proto_from_configs(configs), str(folder))
    return folder


def test_a_saved_model_by_upstreams_exporter(untrained, tmp_path, images):
    """What exporter_main_v2 writes from a checkpoint detects what the checkpoint itself does."""
    from object_detection import exporter_lib_v2
    from object_detection.utils import config_util

    configs = config_util.get_configs_from_pipeline_file(str(untrained / "pipeline.config"))
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    exporter_lib_v2.export_inference_graph("image_tensor", pipeline, str(untrained), str(tmp_path / "exported"))

    ours = _found(untrained, tmp_path / "ours", images)
    theirs = _found(tmp_path / "exported", tmp_path / "theirs", images)
    assert theirs == _found(tmp_path / "exported" / "saved_model", tmp_path / "inner", images)
    assert len(ours) == len(theirs) > 10
    assert [one["image_id"] for one in ours] == [one["image_id"] for one in theirs]
    assert np.allclose([one["score"] for one in ours], [one["score"] for one in theirs], atol=1e-3)


def test_a_promoted_checkpoint(untrained, prepared, tmp_path, images):
    """It appears as TensorFlow Serving wants a version, finds what the checkpoint finds, and knows its classes."""
    run = copy_of(prepared, tmp_path / "models" / "small")
    settings = Settings(models_dir=run.root.parent, run="small", checkpoint=str(untrained / "ckpt-1"))
    version = Path(promote.run(settings).folder)
    assert version == run.root.parent / "serving" / "small" / "1"
    assert (version / "saved_model.pb").is_file() and (version / "variables").is_dir()
    card = read_json(version / "card.json")
    assert card["form"] == "image_tensor" and card["parity"]
    assert (card["run"], card["data"]["fingerprint"]) == ("small", cards.read(run.records).fingerprint)
    ours, theirs = _found(untrained, tmp_path / "ours", images), _found(version, tmp_path / "served", images)
    assert np.allclose([one["score"] for one in ours], [one["score"] for one in theirs], atol=1e-3)


def _found(detector: Path, output: Path, images: Path) -> list[dict]:
    """Every detection of `detector`, whatever its score."""
    given = {"detector": str(detector), "output": str(output), "models_dir": output.parent / "none"}
    assert detect.run(Settings(input=str(images), score_threshold=0.0, **given)).images == 2
    return json.loads((output / "detections.json").read_text())["annotations"]


def _frozen_by_tf1(tf) -> bytes:
    """A GraphDef with the names, types and ranks of TF1's `export_inference_graph`: finds the red rectangle."""
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        red = tf.logical_and(image[..., 0] > 200, image[..., 1] < 60)
        sides = []
        for axis in (2, 1):
            line = tf.cast(tf.reduce_any(red, axis=axis), tf.float32)
            length = tf.shape(line)[1]
            first, last = tf.argmax(line, axis=1), tf.cast(length, tf.int64) - tf.argmax(line[:, ::-1], axis=1)
            sides += [tf.cast(end, tf.float32) / tf.cast(length, tf.float32) for end in (first, last)]
        ymin, ymax, xmin, xmax = sides
        box = tf.stack([ymin, xmin, ymax, xmax], axis=1)
        # Trained weights, which freezing turns into a constant.
        weights = tf.get_variable("Head/weights", initializer=[0.75, 0.25])
        batch = tf.shape(image)[0]
        tf.stack([box, tf.zeros_like(box)], axis=1, name="detection_boxes")
        tf.tile(weights[tf.newaxis], [batch, 1], name="detection_scores")
        tf.tile([[3.0, 1.0]], [batch, 1], name="detection_classes")
        tf.fill([batch], 2.0, name="num_detections")
        session.run(tf.global_variables_initializer())
        outputs = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
        graph = tf.graph_util.convert_variables_to_constants(session, session.graph_def, outputs)
    assert "VariableV2" not in {node.op for node in graph.node} and any(node.op == "Const" for node in graph.node)
    return graph.SerializeToString()
