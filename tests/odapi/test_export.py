"""A checkpoint in every form, loaded back, and what is refused."""

import hashlib
import json
import shutil
import zipfile

import numpy as np
import pytest
from command import copy_of, detbox, place

from app.checkpoint import resolve_checkpoint
from app.dataset import card as cards
from app.detection import loader, sidecar_files
from app.errors import GateError, SettingsError
from app.export import formats, session
from app.export.probe_images import ProbeImages
from app.jobs import promote
from app.odapi.models import load_models
from app.run.directory import CARD, Run
from app.run.files import write_json
from app.settings import Settings

pytestmark = pytest.mark.odapi
SEED = 3


@pytest.fixture(scope="module")
def tf():
    """TensorFlow without a GPU."""
    from app.odapi import runtime

    return runtime.start(use_gpu=False, seed=SEED)


@pytest.fixture(scope="module")
def run(tf, prepared, tmp_path_factory) -> Run:
    """A run whose best checkpoint was never trained, yet is sure of what it sees: its scores are spread out."""
    from object_detection.builders import model_builder

    from app.protos import pipeline_config

    run = copy_of(prepared, tmp_path_factory.mktemp("export") / "small")
    config = pipeline_config.parse_pipeline(run.pipeline_config.read_text(), where="test")
    # Random boxes all lie on each other, also beyond the image's edge, where TensorFlow Lite's suppression does not
    # clip them first. Without suppression it is the same of all forms.
    config.model.ssd.post_processing.batch_non_max_suppression.iou_threshold = 1.0
    run.pipeline_config.write_text(str(config))
    model = model_builder.build(config.model, is_training=False)
    model.predict(*model.preprocess(tf.zeros([1, 64, 64, 3])))
    random = np.random.default_rng(SEED)
    for variable in model.variables:
        if "kernel" in variable.name:
            # He et al. 2015, eq. 10: signals keep their size through the layers; with the model's own start they die.
            inputs = np.prod(variable.shape[: 2 if "depthwise" in variable.name else 3])
            scale = 0.38 if "ClassPredictor" in variable.name else 1.0
            variable.assign(random.normal(0, scale * (2 / inputs) ** 0.5, variable.shape))
    run.best.mkdir()
    tf.train.Checkpoint(model=model).write(str(run.best / "ckpt-7"))
    for path in (run.pipeline_config, run.label_map):
        shutil.copy2(path, run.best / path.name)
    write_json(run.best_card, {"step": 7, "checkpoint": "ckpt-7", "metrics": {"m": 0.5}, "details": {}})
    return run


@pytest.fixture(scope="module")
def exported(run) -> session.Exported:
    """Every form of it."""
    return session.export_formats(resolve_checkpoint(run, "best"), "all", load_models, run.exports)


@pytest.fixture(scope="module")
def images(run) -> list[np.ndarray]:
    """Two held-out images."""
    return ProbeImages(run, "").probes()[:2]


def test_every_form_is_made_and_finds_what_the_checkpoint_finds(run, exported):
    """The card says how near, and all that a reader of the export has to know."""
    assert exported.refused == {}
    classes = list(cards.read(run.records).classes)
    assert [form.form for form in exported.forms] == list(formats.FORMS)
    for form in formats.FORMS:
        card = json.loads((run.exports / form / CARD).read_text())
        assert (card["form"], card["step"], card["metrics"]) == (form, 7, {"m": 0.5})
        assert list(card["classes"].values()) == classes
        assert card["parity"]["compared"] >= 8 * 10
        assert len(card["inputs"]) == 1
        assert len(card["outputs"]) >= 4
        for name, digest in card["files"].items():
            assert hashlib.sha256((run.exports / form / name).read_bytes()).hexdigest() == digest


def test_float_forms_are_as_near_as_they_must_be(run, exported):
    """Scores within 0.001, boxes within a pixel, the same classes."""
    for form in set(formats.FORMS) - {"tflite_dynamic", "tflite_float16", "tflite_int8"}:
        found = json.loads((run.exports / form / CARD).read_text())["parity"]
        assert found["score"] <= 1e-3, form
        assert found["pixels"] <= 1, form
        assert found["unmatched"] == 0, form


def test_eight_bits_are_held_to_the_map(run, exported):
    """Measured on the held-out images of the records, by the checkpoint and by the export."""
    found = json.loads((run.exports / "tflite_int8" / CARD).read_text())["parity"]["mAP"]
    assert found["images"] == 6
    assert found["export"] >= found["checkpoint"] - 0.02


def test_a_folder_of_an_export_loads_as_the_form_that_it_is(run, exported, images):
    """Of SavedModels by their signature alone: without the card it is what upstream would have made."""
    for form in formats.SAVED_MODELS:
        assert loader.load(run.exports / form / "saved_model").form == form
    one = loader.load(run.exports / "encoded_image_string_tensor")
    together, apart = one.detect(images), [one.detect([image])[0] for image in images]
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)


def test_a_frozen_graph_runs_in_a_session_of_tensorflow_1(tf, run, exported, images):
    """Under the names of TF1's tensors, in binary as in text, several images at once."""
    for form in formats.FROZEN:
        graph = loading_graph(tf, run.exports / form / formats.FILES[form])
        assert not {node.op for node in graph.node} & {"VarHandleOp", "VariableV2", "PartitionedCall"}
    with tf.Graph().as_default() as inside, tf.compat.v1.Session() as session:
        tf.compat.v1.import_graph_def(graph, name="")
        wanted = [f"detection_{key}:0" for key in ("boxes", "scores", "classes")] + ["num_detections:0"]
        tensors = [inside.get_tensor_by_name(name) for name in wanted]
        boxes, scores, classes, count = session.run(tensors, {"image_tensor:0": np.stack(images)})
    expected = loader.load(run.exports / "image_tensor").detect(images)
    assert boxes.shape[:1] == classes.shape[:1] == count.shape == (2,)
    for row, found in enumerate(expected):
        np.testing.assert_allclose(scores[row][: len(found.scores)], found.scores, atol=1e-4)


def loading_graph(tf, path):
    """The GraphDef in a file of either kind."""
    from app.detection import frozen_graph

    return frozen_graph._read(path)


def test_a_tflite_file_tells_of_itself(tf, run, exported):
    """Outputs in the order that apps expect, labels packed inside, an 8-bit model takes 8-bit images."""
    for form in formats.TFLITE:
        path = run.exports / form / "model.tflite"
        interpreter = tf.lite.Interpreter(str(path))
        interpreter.allocate_tensors()
        details = interpreter.get_output_details()
        assert [len(detail["shape"]) for detail in details] == [3, 2, 2, 1]
        assert [detail["name"].rpartition("_")[2] for detail in details] == ["boxes", "classes", "scores", "detections"]
        with zipfile.ZipFile(path) as archive:
            assert archive.read(sidecar_files.TFLITE_LABELS).decode().split() == list(cards.read(run.records).classes)
    card = json.loads((run.exports / "tflite_int8" / CARD).read_text())
    assert [tensor["dtype"] for tensor in card["inputs"].values()] == ["uint8"]
    sizes = {form: (run.exports / form / "model.tflite").stat().st_size for form in formats.TFLITE}
    assert sizes["tflite_int8"] < sizes["tflite_float16"] < sizes["tflite"]


def test_a_model_for_serving_lies_in_its_folder_alone(tf, run, tmp_path, images):
    """As TensorFlow Serving wants a version, under the signature asked for; without records too, on drawn images."""
    alone = Run(tmp_path / "alone")
    shutil.copytree(run.best, alone.best)
    best = resolve_checkpoint(alone, "best")
    card = session.export_for_serving(best, load_models, tmp_path / "1", signature_key="detect")
    assert (tmp_path / "1" / "saved_model.pb").is_file()
    assert json.loads((tmp_path / "1" / CARD).read_text()) == card
    assert card["parity"]["source"] == "drawn images"
    assert list(tf.saved_model.load(str(tmp_path / "1")).signatures) == ["detect"]
    assert loader.load(tmp_path / "1").detect(images)[0].scores.size
    assert answered(tf, tmp_path / "1", "detect")["detection_scores"].shape[0] == 1


def answered(tf, version, key):
    """What the model answers to the request that TensorFlow Serving finds in it, read by Serving's own protos."""
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    dataset = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    (record,) = dataset.as_numpy_iterator()
    log = prediction_log.PredictionLog.FromString(record)
    assert log.WhichOneof("log_type") == "predict_log"
    request = log.predict_log.request
    assert request.model_spec.signature_name == key
    model = tf.saved_model.load(str(version))
    return model.signatures[key](**{name: tf.constant(tf.make_ndarray(one)) for name, one in request.inputs.items()})


def test_a_promotion_is_compared_on_the_runs_held_out_images(run, tmp_path):
    """The card under serving/ says so, with their number; nothing of it is replaced here."""
    copied = copy_of(run, tmp_path / "models" / "small")
    result = promote.run(Settings(models_dir=copied.root.parent, run="small"))
    card = json.loads((tmp_path / "models" / "serving" / "small" / "1" / CARD).read_text())
    assert (card["run"], card["step"], result.version) == ("small", 7, 1)
    assert (card["parity"]["source"], card["parity"]["images"]) == (
        "held-out images",
        cards.read(run.records).eval.images,
    )
    assert card["parity"]["compared"] >= 6 * 10


def test_an_export_that_finds_something_else_is_not_kept(run, exported, monkeypatch):
    """The gate's exit code; what was exported before stays."""
    from app.odapi import checkpoint_detector

    real = checkpoint_detector.CheckpointDetector.detect

    def off(self, seen):
        return [type(d)(d.boxes + 0.01, d.scores, d.classes) for d in real(self, seen)]

    monkeypatch.setattr(checkpoint_detector.CheckpointDetector, "detect", off)
    before = (run.exports / "frozen_graph" / CARD).read_text()
    with pytest.raises(GateError) as caught:
        session.export_formats(resolve_checkpoint(run, "best"), "frozen_graph", load_models, run.exports)
    assert caught.value.exit_code == 8
    assert (run.exports / "frozen_graph" / CARD).read_text() == before
    assert [path.name for path in run.exports.iterdir() if path.name.startswith(".")] == []


def test_what_a_model_is_not_for_is_refused_before_any_work(run, tmp_path):
    """TensorFlow Lite of a two-stage model, with the reason, in the time that a command line takes."""
    shutil.copytree(run.best, tmp_path / "r" / "best")
    config = tmp_path / "r" / "best" / "pipeline.config"
    config.write_text("model { faster_rcnn { num_classes: 3 } }")
    result = detbox("export", *place(Run(tmp_path / "r")), "--export_forms=tflite,tflite_int8")
    assert result.returncode == 3
    assert "two-stage" in result.stderr
    assert "Traceback" not in result.stderr


def test_int8_without_images_is_refused_with_the_remedy(run, tmp_path):
    """Before any work too."""
    alone = Run(tmp_path / "alone")
    shutil.copytree(run.best, alone.best)
    with pytest.raises(SettingsError) as caught:
        session.export_formats(resolve_checkpoint(alone, "best"), "tflite_int8", load_models, alone.exports)
    assert "--input" in caught.value.remedy
