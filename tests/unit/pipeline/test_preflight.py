"""What is found before training starts."""

import logging
import shutil

import pytest

from app.errors import SettingsError
from app.pipeline import preflight
from app.pipeline.finding import error, warning

LABELS = {1: "a", 2: "b", 3: "c"}
BOXES = {1: 10, 2: 20, 3: 5}


def files(number):
    return lambda pattern: [f"{pattern}{i}" for i in range(number)]


def check(pipeline, **values):
    """Findings as text, with enough of everything unless given otherwise."""
    defaults = {"label_map": LABELS, "boxes_per_class": BOXES, "find_files": files(4)}
    return [str(finding) for finding in preflight.check(pipeline.config, **{**defaults, **values})]


def one(found, *parts):
    (line,) = found
    assert all(part in line for part in parts), line
    assert "\n" not in line and " -> " in line


@pytest.mark.parametrize("model", ["tiny", "efficientdet_d0", "faster_rcnn_resnet50", "centernet_resnet50_fpn"])
def test_good_pipelines_have_no_findings(make, model):
    """What build makes of a preset passes."""
    assert check(make(model=model, num_train_steps=500), replicas=2, workers=2) == []


def test_real_fine_tune_has_no_findings(make, hands):
    """A real checkpoint passes, with its own keys."""
    shapes = {
        "_CHECKPOINTABLE_OBJECT_GRAPH": (),
        "model/_feature_extractor/x/.ATTRIBUTES/VARIABLE_VALUE": (3,),
    }
    pipeline = make(fine_tune_checkpoint=str(hands), num_train_steps=400, batch_size=8)
    assert check(pipeline, shapes=shapes) == []


def test_label_map_against_num_classes(make):
    """A label map and num_classes that differ are an error in either direction."""
    one(check(make(num_classes=2)), "ids up to 3, the model 2 classes", "label_map.pbtxt")
    one(check(make(num_classes=4)), "ids up to 3, the model 4 classes")
    one(check(make(), label_map={}, boxes_per_class=None), "ids up to 0")


def test_boxes_of_unknown_class(make):
    """A class id in the records that the label map lacks is an error."""
    one(check(make(), boxes_per_class={**BOXES, 9: 1}), "class id 9")


def test_class_without_boxes(make):
    """A class that can't be learnt is a warning."""
    (finding,) = preflight.check(
        make().config, label_map=LABELS, boxes_per_class={1: 1, 2: 0, 3: 1}, find_files=files(4)
    )
    assert finding.severity == "warning" and finding.what.endswith(": b")


def test_many_classes_are_one_finding(make):
    """Of eighty classes without a box one line tells, with their number and three of them; so with wrong names."""
    names = {number: f"c{number}" for number in range(1, 81)}
    pipeline, none = make(num_classes=80), dict.fromkeys(names, 0)
    one(check(pipeline, label_map=names, boxes_per_class=none), "80 classes", "c1, c2, c3 and 77 more")
    boxes, other = dict.fromkeys(names, 1), [f"d{number}" for number in names]
    one(check(pipeline, label_map=names, boxes_per_class=boxes, classes=other), "1 'c1' for 'd1'", "and 77 more")
    many = {**boxes, **dict.fromkeys(range(90, 100), 1)}
    one(check(pipeline, label_map=names, boxes_per_class=many), "class id 90, 91, 92 and 7 more")


def test_no_records(make):
    """A glob without files is named, for each split."""
    found = check(make(), find_files=files(0))
    assert [line.split(":")[0] for line in found] == [
        "/models/run/records/train-*",
        "/models/run/records/eval-*",
    ]


def test_real_globs(make, tmp_path):
    """Globs are looked up on disk."""
    pipeline = make(train_records=f"{tmp_path}/train-*", eval_records=f"{tmp_path}/eval-*")
    (tmp_path / "train-00000-of-00001").touch()
    found = [str(finding) for finding in preflight.check(pipeline.config, label_map=LABELS)]
    one(found, "no eval records there", f"{tmp_path}/eval-*")


def test_fewer_shards_than_workers(make):
    """Every worker needs a record file; evaluation runs in one place."""
    one(check(make(), workers=5), "5 workers share 4 record files", "--num_shards")


@pytest.mark.parametrize(("replicas", "batch", "near"), [(3, 8, 9), (16, 8, 16), (4, 6, 8)])
def test_batch_over_replicas(make, replicas, batch, near):
    """The batch must divide by the replicas; the remedy names a size that does."""
    one(check(make(batch_size=batch), replicas=replicas), f"{replicas} replicas", f"--batch_size={near}")


@pytest.mark.parametrize(
    ("model", "good", "bad", "unit"),
    [
        ("efficientdet_d0", (384, 512), (480, 512), 128),
        ("ssd_mobilenet_v2_fpnlite_320", (320, 480), (500, 512), 32),
        ("ssd_resnet50_fpn_640", (608, 640), (600, 640), 32),
        ("centernet_resnet50_fpn", (480, 512), (496, 512), 32),
        ("faster_rcnn_resnet50", (500, 333), None, 1),
    ],
)
def test_sizes_that_a_network_can_not_take(make, model, good, bad, unit):
    """Each family's multiples, as building it at these very sizes showed; the remedy names the nearest size."""
    kind = {"f": "faster_rcnn", "c": "center_net"}.get(model[0], "ssd")
    resizer = "model {{ {} {{ image_resizer {{ fixed_shape_resizer {{ height: {} width: {} }} }} }} }}"
    assert check(make(model=model, config_override=resizer.format(kind, *good))) == []
    if bad:
        found = check(make(model=model, config_override=resizer.format(kind, *bad)))
        one(found, f"{bad[0]}x{bad[1]}", f"multiples of {unit}", "--image_size=")


def test_a_pyramid_that_pads_takes_any_size(make):
    """An SSD may pad the batch itself."""
    override = """model { ssd { image_resizer { fixed_shape_resizer { height: 500 width: 512 } }
      feature_extractor { pad_to_multiple: 32 } } }"""
    assert check(make(model="ssd_mobilenet_v2_fpnlite_320", config_override=override)) == []


def test_schedule_shorter_than_the_run(make):
    """A cosine that ends before the run trains at rate 0: an error."""
    one(
        check(make(config_override="train_config { num_steps: 2000 }", num_train_steps=500)),
        "0 from step 500 of 2000",
    )


def test_schedule_longer_than_the_run(make):
    """A schedule that the run cuts off is a warning."""
    pipeline = make(config_override="train_config { num_steps: 300 }", num_train_steps=500)
    (finding,) = preflight.check(pipeline.config, label_map=LABELS, find_files=files(1))
    assert finding.severity == "warning" and "cut off at 300" in finding.what
    pipeline = make(model="centernet_resnet50_fpn", config_override="train_config { num_steps: 60000 }")
    (finding,) = preflight.check(pipeline.config, label_map=LABELS, find_files=files(1))
    assert finding.severity == "warning" and "step 120000" in finding.what


def test_warmup_longer_than_the_run(make):
    """Warm-up as long as the run is an error."""
    one(check(make(warmup_steps=90, config_override="train_config { num_steps: 90 }"))[:1], "warm-up of 90")


def test_tf1_model(make):
    """A feature extractor of TF1 is refused with the way to migrate it."""
    one(
        check(make(config_override='model { ssd { feature_extractor { type: "ssd_mobilenet_v2" } } }')),
        "TF1's",
        "migrate",
    )


class TestCheckpoint:
    """The fine-tune checkpoint is looked at, file by file and key by key."""

    @pytest.fixture
    def prefix(self, hands, tmp_path):
        for path in (hands / "checkpoint").glob("ckpt-0.*"):
            shutil.copyfile(path, tmp_path / path.name)
        return tmp_path / "ckpt-0"

    def found(self, make, prefix, **values):
        return check(make(config_override=f'train_config {{ fine_tune_checkpoint: "{prefix}" }}'), **values)

    def test_whole(self, make, prefix):
        """A real checkpoint is whole."""
        assert self.found(make, prefix) == []

    def test_missing(self, make, prefix):
        """A path that is no prefix is an error."""
        one(self.found(make, f"{prefix}-1"), "is no checkpoint", "--fine_tune_checkpoint")

    def test_truncated_index(self, make, prefix):
        """An index cut short in a copy is an error."""
        index = prefix.with_name("ckpt-0.index")
        index.write_bytes(index.read_bytes()[:-100])
        one(self.found(make, prefix), "cut short")

    def test_missing_data(self, make, prefix):
        """An index without its data is an error, as is one part of two."""
        data = prefix.with_name("ckpt-0.data-00000-of-00001")
        data.rename(prefix.with_name("ckpt-0.data-00000-of-00002"))
        one(self.found(make, prefix), "not all of its .data")
        prefix.with_name("ckpt-0.data-00000-of-00002").unlink()
        one(self.found(make, prefix), "not all of its .data")

    def test_tf1_files(self, make, prefix):
        """A .meta file beside it gives a TF1 checkpoint away."""
        prefix.with_name("ckpt-0.meta").touch()
        one(self.found(make, prefix), "TF1 checkpoint")

    def test_name_based(self, make, prefix):
        """So do keys without an object graph."""
        one(self.found(make, prefix, shapes={"FeatureExtractor/Conv/weights": (3, 3)}), "not object-based")

    def test_other_type_fits(self, make, prefix):
        """A classification checkpoint read as detection is told which type would fit."""
        shapes = {"_CHECKPOINTABLE_OBJECT_GRAPH": (), "feature_extractor/layer/kernel": (1,)}
        one(self.found(make, prefix, shapes=shapes), "takes as 'detection'", "classification would fit")

    def test_other_model(self, make, prefix):
        """An SSD's weights do not start a Faster R-CNN."""
        shapes = {"_CHECKPOINTABLE_OBJECT_GRAPH": (), "model/_feature_extractor/layer/kernel": (1,)}
        pipeline = make(
            model="faster_rcnn_resnet50",
            config_override=f'train_config {{ fine_tune_checkpoint: "{prefix}" }}',
        )
        one(check(pipeline, shapes=shapes), "faster_rcnn takes as 'detection'")


def test_all_findings_at_once(make):
    """Faults of different kinds come together."""
    found = check(make(num_classes=2, batch_size=3), replicas=2, find_files=files(0))
    assert len(found) == 4


def test_raise_if_any(caplog):
    """One error is raised, with the number; all are logged, warnings as such."""
    with caplog.at_level(logging.INFO), pytest.raises(SettingsError) as caught:
        preflight.raise_if_any([warning("w", "x", "r"), error("first", "here", "do"), error("second", "", "")])
    assert str(caught.value) == "here: first (the first of 2 errors, all are logged) -> do"
    assert caught.value.exit_code == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "ERROR"]


def test_warnings_do_not_raise():
    """A warning alone lets training start."""
    preflight.raise_if_any([warning("w", "x", "r")])
