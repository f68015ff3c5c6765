"""Disk and memory, estimated before they run out."""

import pytest

from app.pipeline import checkpoint_index, footprint
from app.pipeline.finding import Finding
from app.pipeline.resources import Resources, check
from app.write_schedule import WriteSchedule

SCHEDULE = WriteSchedule(
    checkpoint_every_n=100, checkpoint_every_secs=0, checkpoint_max_to_keep=5, checkpoint_backlog_max=20,
    summary_every_n=20, image_summary_every_n=200, image_summary_max_outputs=3,
    learning_rate_summary_every_n=20, log_every_n=20, num_steps_per_iteration=100, eval_image_outputs=6,
)  # fmt: skip
GB = 10**9


def found(config, replicas=1, **values) -> list[Finding]:
    return list(check(config, Resources(schedule=SCHEDULE, **values), replicas))


def test_checkpoint_of_a_real_model(make, hands):
    """The estimate for SSD MobileNet V2 FPNLite is within a tenth of the real checkpoint's bytes; momentum doubles."""
    config = make(fine_tune_checkpoint=str(hands)).config
    real = sum(tensor.size for tensor in checkpoint_index.read(f"{hands}/checkpoint/ckpt-0").values())
    assert footprint.checkpoint_bytes(config) == pytest.approx(2 * real, rel=0.1)


def test_a_network_that_is_not_in_the_table_goes_by_its_checkpoint(make, hands):
    """Unmeasured and fine-tuned: the checkpoint's own tensors. Unmeasured and from scratch: nothing is said."""
    override = 'model { ssd { feature_extractor { type: "ssd_unheard_of_keras" } } }'
    real = sum((hands / "checkpoint" / "ckpt-0.data-00000-of-00001").stat().st_size for _ in range(2))
    config = make(fine_tune_checkpoint=str(hands), config_override=override).config
    assert footprint.checkpoint_bytes(config) == pytest.approx(real, rel=0.05)
    assert footprint.checkpoint_bytes(make(config_override=override).config) == 0


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        ("momentum_optimizer { momentum_optimizer_value: 0.9 }", 1),
        ("momentum_optimizer { momentum_optimizer_value: 0 }", 0),
        ("adam_optimizer { learning_rate { constant_learning_rate { } } }", 2),
        ("rms_prop_optimizer { learning_rate { constant_learning_rate { } } }", 2),
    ],
)
@pytest.mark.parametrize("average", [0, 1])
def test_slots(make, optimizer, slots, average):
    """Momentum keeps one value for each parameter, Adam and RMSprop two, moving averages one more."""
    override = f"train_config {{ optimizer {{ {optimizer} use_moving_average: {average} }} }}"
    assert footprint.slots(make(config_override=override).config) == slots + average


def test_disk(make):
    """Too little for what is kept is an error; too little for what a slow evaluator holds up is a warning."""
    config = make(model="faster_rcnn_resnet50", num_train_steps=1000).config
    each = footprint.checkpoint_bytes(config)
    events = footprint.event_bytes(config, SCHEDULE)
    (finding,) = found(config, free_bytes=7 * each + events - 1)
    assert finding.severity == "error" and "7 checkpoints of 0.2 GB" in finding.what
    assert "--checkpoint_max_to_keep" in finding.remedy
    (finding,) = found(config, free_bytes=7 * each + events)
    assert finding.severity == "warning" and "--checkpoint_backlog_max" in finding.remedy
    assert not found(config, free_bytes=27 * each + events)


def test_disk_of_a_run_that_goes_on(make):
    """What the run has written counts as its own, and its checkpoints' real size replaces the estimate."""
    config = make(num_train_steps=1000).config
    (finding,) = found(config, free_bytes=2 * GB, checkpoint_bytes=GB, present_bytes=4 * GB)
    assert finding.severity == "error" and "7 checkpoints of 1.0 GB" in finding.what
    assert not [f for f in found(config, free_bytes=4 * GB, checkpoint_bytes=GB, present_bytes=4 * GB)
                if f.severity == "error"]  # fmt: skip


def test_images_in_event_files_count(make):
    """Many images in TensorBoard fill a disk as well; then they are what to do less of."""
    config = make(model="ssd_mobilenet_v2_fpnlite_640", num_train_steps=100_000).config
    schedule = WriteSchedule(**{**vars(SCHEDULE), "image_summary_every_n": 1})
    (finding,) = check(config, Resources(schedule=schedule, free_bytes=20 * GB))
    assert "of events" in finding.what and "--image_summary_every_n" in finding.remedy


def test_memory(make):
    """The zoo's batch of 128 does not fit a GPU of 16 GB; the warning gives a range and a batch that fits."""
    config = make(model="efficientdet_d0", num_train_steps=1000).config
    (finding,) = found(config, memory_bytes=16 * GB)
    assert finding.severity == "warning" and "128 images at a time" in finding.what
    assert "the GPU has 16.0 GB: it will hardly fit" in finding.what
    size = int(finding.remedy.split()[0].removeprefix("--batch_size="))
    assert 4 <= size < 32
    smaller = make(model="efficientdet_d0", num_train_steps=1000, batch_size=size).config
    assert not found(smaller, memory_bytes=16 * GB)
    assert not found(config, memory_bytes=16 * GB, replicas=128 // size + 1)


def test_memory_without_a_batch_that_fits(make):
    """Where not even one image fits, smaller images or another model are the way out."""
    (finding,) = found(make(model="faster_rcnn_resnet50", batch_size=4).config, memory_bytes=GB)
    assert finding.remedy.startswith("a smaller model: --model")


def test_the_estimate_holds_what_was_measured(make):
    """Peaks of resident memory, two training steps of three images on the CPU, lie between the two bounds."""
    measured = {
        "ssd_mobilenet_v2_fpnlite_320": 1.301e9,
        "efficientdet_d0": 3.106e9,
        "ssd_mobilenet_v2_fpnlite_640": 2.688e9,
    }
    for model, peak in measured.items():
        least, most = footprint.memory_bytes(make(model=model).config, 3)
        assert least <= peak <= most, model
