"""`promote`, with an export that is a file: what appears under serving/, and when."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from app.dataset.preparation import prepare
from app.detection import loader
from app.detection.detections import Detections
from app.errors import DetboxError, GateError, SettingsError
from app.evaluation.promotion import ModelVersions
from app.jobs import promote
from app.run.directory import Run
from app.run.files import append_line, read_json, replacing, write_json, write_text
from app.settings import Settings

MAP = "DetectionBoxes_Precision/mAP"


class Tensorflow:
    """Stands in for TensorFlow: a model is one box, an export a file; `fail` makes the export find another box."""

    form = "image_tensor"
    fail = False
    error: Exception | None = None
    seconds = 0.0
    made = 0

    def load(self, checkpoint):
        assert checkpoint.prefix.with_name(f"{checkpoint.prefix.name}.index").is_file()
        return Model(), Model(checkpoint, self)

    def load_export(self, folder):
        self.made += not self.fail
        return Model(shift=0.3 if self.fail else 0.0)


class Model:
    form = "image_tensor"

    def __init__(self, checkpoint=None, tensorflow=None, shift=0.0):
        self.checkpoint, self.tensorflow, self.shift = checkpoint, tensorflow, shift

    def detect(self, images):
        box = np.array([[0.1, 0.1, 0.5, 0.5 + self.shift]], np.float32)
        return [Detections(box, np.array([0.9], np.float32), np.array([1])) for _ in images]

    def signature(self):
        return {"inputs": {}, "outputs": {}}

    def request(self, image):
        return {"input_tensor": image.tobytes()}

    def saved_model(self, folder, form, key):
        if self.tensorflow.error:
            raise self.tensorflow.error
        time.sleep(self.tensorflow.seconds)
        folder.mkdir()
        prefix = self.checkpoint.prefix
        (folder / "saved_model.pb").write_text(prefix.with_name(f"{prefix.name}.index").read_text())


@pytest.fixture
def exports(monkeypatch):
    made = Tensorflow()
    monkeypatch.setattr(promote, "load_models", made.load)
    monkeypatch.setattr(loader, "load", made.load_export)
    return made


@pytest.fixture
def run(tmp_path, exports):
    """A run whose best checkpoint is that of step 20, with an mAP of 0.6; step 30 has 0.5; 40 has none."""
    made = Run(tmp_path / "wheels")
    write_text(made.pipeline_config, "")
    write_text(made.label_map, 'item { id: 1 name: "cat" }')
    for step, value in ((20, 0.6), (30, 0.5), (40, None)):
        _checkpoint(made.root, step)
        if value:
            row = {"step": step, "metrics": {MAP: value}, "details": {}, "time": 1.0}
            append_line(made.evaluations, row)
    _better(made, 20, 0.6)
    return made


def _checkpoint(folder, step):
    for end in ("index", "data-00000-of-00001"):
        write_text(folder / f"ckpt-{step}.{end}", f"step {step}")


def _better(run, step, value, metric=MAP):
    """Another best checkpoint, as the evaluator keeps it."""
    with replacing(run.best) as folder:
        _checkpoint(folder, step)
        for path in (run.pipeline_config, run.label_map):
            write_text(folder / path.name, path.read_text())
        best = {
            "step": step,
            "metric": metric,
            "value": value,
            "checkpoint": f"ckpt-{step}",
            "metrics": {metric: value},
        }
        write_json(folder / run.best_card.name, best)


def settings(run, **given):
    return Settings(models_dir=run.root.parent, run=run.name, **given)


def versions_of(run, name="wheels"):
    return ModelVersions(run.root.parent / "serving" / name)


def test_the_best_checkpoint_by_hand(run):
    """It appears as version 1 with its card, and is archived in the run in a form that can be promoted again."""
    result = promote.run(settings(run))
    assert (result.version, result.step, result.value, result.previous) == (1, 20, 0.6, None)
    folder = run.root.parent / "serving" / "wheels"
    assert sorted(path.name for path in (folder / "1").iterdir()) == [
        "assets.extra", "card.json", "label_map.pbtxt", "pipeline.config", "saved_model.pb"
    ]  # fmt: skip
    card = read_json(folder / "1" / "card.json")
    assert (card["run"], card["step"], card["metric"], card["value"]) == ("wheels", 20, MAP, 0.6)
    assert card["form"] == "image_tensor" and card["classes"] == {"1": "cat"} and card["direction"] == "higher"
    archive = Path(result.archive)
    assert archive == run.root / "promoted" / "wheels" / "1"
    assert (archive / "ckpt-20.index").read_text() == "step 20" and (archive / "pipeline.config").is_file()
    again = promote.run(settings(run, checkpoint=str(archive), serving_input="tf_example"))
    assert versions_of(run).card(2)["form"] == "tf_example"
    assert again.version == 2 and "serves    version 2 of wheels" in str(again)


def test_the_gate_compares_on_the_runs_held_out_images(run):
    """The copy that is exported is still the run's checkpoint: so are the images; also when it is promoted again."""
    rng = np.random.default_rng(0)
    source = run.root.parent / "set"
    for split, count in (("train", 3), ("val", 2)):
        images, annotations = [], []
        (source / split).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (48, 64, 3), np.uint8)
            Image.fromarray(pixels).save(source / split / f"{split}{number}.jpg")
            images.append({"id": number, "file_name": f"{split}{number}.jpg", "width": 64, "height": 48})
            annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 20, 20]})
        document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
        (source / split / "_annotations.coco.json").write_text(json.dumps(document))
    prepare(source, run.records)
    result = promote.run(settings(run))
    parity = read_json(versions_of(run).path(1) / "card.json")["parity"]
    assert (parity["source"], parity["images"]) == ("held-out images", 2)
    again = promote.run(settings(run, checkpoint=result.archive))
    parity = read_json(versions_of(run).path(2) / "card.json")["parity"]
    assert (again.step, again.value) == (20, 0.6)
    assert (parity["source"], parity["images"]) == ("held-out images", 2)


@pytest.mark.parametrize(("wanted", "step", "value"), [("30", 30, 0.5), ("newest", 40, None), ("best", 20, 0.6)])
def test_which_checkpoint(run, wanted, step, value):
    """Best, newest or a step, each with the metrics of its evaluation."""
    result = promote.run(settings(run, checkpoint=wanted))
    assert (result.step, result.value) == (step, value)
    assert (versions_of(run).path(1) / "saved_model.pb").read_text() == f"step {step}"


def test_by_hand_without_a_threshold_it_may_be_worse(run):
    """It is done, and said."""
    promote.run(settings(run))
    result = promote.run(settings(run, checkpoint="30"))
    assert result.version == 2 and result.note == f"{MAP} 0.5000 is not better than 0.6000 of version 1"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"promote_threshold": 0.7}, "below the threshold 0.7"),
        ({"promote_threshold": 0.4, "checkpoint": "30"}, "not better than 0.6"),
        ({"promote_threshold": 0.1, "checkpoint": "newest"}, "not evaluated"),
    ],
)
def test_a_threshold_is_a_gate(run, given, words):
    """Exit code 8 with the reason; nothing changes."""
    promote.run(settings(run))
    with pytest.raises(GateError, match=words) as caught:
        promote.run(settings(run, **given))
    assert caught.value.exit_code == 8
    assert versions_of(run).versions == [1] and len(versions_of(run).history()) == 1


def test_a_model_that_finds_something_else_is_not_promoted(run, exports):
    """Nothing is left under serving/ or in the archive, by hand and by itself; the number is still free."""
    exports.fail = True
    with pytest.raises(GateError) as caught:
        promote.run(settings(run))
    assert caught.value.where == "step 20" and "image_tensor" in caught.value.what
    assert promote.promote_best(run, settings(run, promote_threshold=0.5)) is None
    assert versions_of(run).versions == [] and not list(run.root.glob("promoted/*/*"))
    assert [path.name for path in versions_of(run).folder.iterdir()] == [".lock"]
    exports.fail = False
    assert promote.run(settings(run)).version == 1


def test_by_itself(run, exports):
    """A best checkpoint that passes becomes the next version, once; one that does not leaves no trace."""
    given = settings(run, promote_threshold=0.65)
    assert promote.promote_best(run, given) is None
    assert not (run.root.parent / "serving").exists()
    _better(run, 30, 0.7)
    assert promote.promote_best(run, given).version == 1
    assert promote.promote_best(run, given) is None
    _better(run, 40, 0.8)
    assert promote.promote_best(run, given).version == 2
    assert promote.promote_best(run, settings(run)) is None
    assert (exports.made, versions_of(run).versions) == (2, [1, 2])


def test_what_was_rolled_back_does_not_come_back_by_itself(run):
    """The evaluator leaves a withdrawn checkpoint alone and promotes a better one, under a new number."""
    given = settings(run, promote_threshold=0.5)
    promote.promote_best(run, given)
    _better(run, 30, 0.7)
    promote.promote_best(run, given)
    back = promote.run(settings(run, rollback=True))
    assert (back.action, back.version, back.previous, back.step) == ("withdrawn", 1, 2, 20)
    assert promote.promote_best(run, given) is None
    _better(run, 40, 0.75)
    assert promote.promote_best(run, given).version == 3
    assert versions_of(run).versions == [1, 3]


def test_nothing_to_go_back_to(run):
    """The last version stays."""
    with refused(GateError, where="/serving/wheels", flag="--checkpoint", about="nothing"):
        promote.run(settings(run, rollback=True))
    promote.run(settings(run))
    with refused(GateError, where="/serving/wheels", flag="--checkpoint", about="1 is"):
        promote.run(settings(run, rollback=True))
    assert versions_of(run).versions == [1]


def test_the_metric_that_chose_the_best_is_the_gates(run):
    """Without --best_metric; a version with another one is no obstacle by hand, and one by itself."""
    promote.run(settings(run))
    _better(run, 30, 0.2, "Loss/total_loss")
    assert promote.promote_best(run, settings(run, promote_threshold=0.5)) is None
    result = promote.run(settings(run, promote_threshold=0.5))
    assert (result.version, result.metric, result.value) == (2, "Loss/total_loss", 0.2)
    assert "not comparable with version 1" in result.note


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".hidden", "serving", "a\nb"])
def test_names_that_could_leave_the_folder(run, name):
    """Are refused, for promotion and for going back."""
    for rollback in (False, True):
        with refused(SettingsError, flag="--serving_name", about="serving"):
            promote.run(settings(run, serving_name=name, rollback=rollback))


@pytest.mark.parametrize("given", [{"checkpoint": "50"}, {"checkpoint": "nowhere/ckpt-1"}, {"run": "other"}])
def test_what_is_not_there(run, given):
    """Is told, and leaves no folder."""
    with pytest.raises(DetboxError, match="there is no"):
        promote.run(Settings(**{"models_dir": run.root.parent, "run": "wheels", **given}))
    assert not (run.root.parent / "serving").exists()


def test_a_failure_does_not_end_the_evaluator(run, exports):
    """A full disk while promoting is told and left at that."""
    exports.error = OSError(28, "No space left on device")
    assert promote.promote_best(run, settings(run, promote_threshold=0.5)) is None
    assert versions_of(run).versions == []


def test_two_promotions_at_once(run, exports):
    """The second waits for the first, then sees what it left: each gets a number of its own."""
    exports.seconds = 0.3
    results = []
    threads = [
        threading.Thread(target=lambda step=step: results.append(promote.run(settings(run, checkpoint=step))))
        for step in ("20", "30", "best")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.version for result in results) == versions_of(run).versions == [1, 2, 3]
    assert sorted(str(result.previous) for result in results) == ["1", "2", "None"]


def test_a_promotion_that_does_not_end(run, monkeypatch):
    """Another process holds the model for too long: it is told and nothing is done."""
    monkeypatch.setattr(promote, "WAIT_SECONDS", 0.3)
    lock = versions_of(run).folder / ".lock"
    hold = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
    hold += "print('held', flush=True); time.sleep(60)"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with refused(SettingsError, where="/serving/wheels", flag="--serving_name"):
            promote.run(settings(run))
        other.kill()
    assert versions_of(run).versions == []
