"""What a run will take: parameters, bytes of a checkpoint, of event files, of memory. Estimates, no TensorFlow."""

from dataclasses import dataclass

from app.pipeline import checkpoint_index
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig
from app.write_schedule import WriteSchedule

FLOAT = 4
JPEG_PER_PIXEL = 0.4
"""Bytes of a photograph as JPEG, which TensorBoard's images are: 0.1 to 0.4."""

SCALARS = 1000
"""Bytes of one summary of the losses and the learning rate."""


LEAST, MOST = 0.7, 1.5
"""How far memory may be from the estimate: cuDNN chooses its algorithms by what is free, XLA and fusion save some."""

RUNTIME = 1_000_000_000
"""Bytes that TensorFlow takes before the first image: 0.65 to 0.8 GB on the CPU; a CUDA context is not smaller."""


@dataclass(frozen=True)
class Size:
    """What a network weighs: its parameters, and the bytes that training holds for each pixel of an image."""

    parameters: float
    bytes_per_pixel: float | None = None


SIZES: dict[tuple[str, str], Size] = {
    ("ssd", "mobilenet_v2_fpn"): Size(2.60e6, 1420),
    ("ssd", "resnet50_v1_fpn"): Size(31.7e6, 2240),
    ("ssd", "resnet101_v1_fpn"): Size(50.8e6),
    ("ssd", "resnet152_v1_fpn"): Size(66.4e6),
    ("ssd", "efficientnet-b0_bifpn"): Size(5.57e6, 2650),
    ("ssd", "efficientnet-b1_bifpn"): Size(8.3e6),
    ("ssd", "efficientnet-b2_bifpn"): Size(10e6),
    ("ssd", "efficientnet-b3_bifpn"): Size(14e6),
    ("ssd", "efficientnet-b4_bifpn"): Size(23e6),
    ("ssd", "efficientnet-b5_bifpn"): Size(37e6),
    ("ssd", "efficientnet-b6_bifpn"): Size(56e6),
    ("ssd", "efficientnet-b7_bifpn"): Size(56e6),
    ("faster_rcnn", "resnet50_keras"): Size(28.3e6, 2220),
    ("faster_rcnn", "resnet101_keras"): Size(47.4e6),
    ("faster_rcnn", "resnet152_keras"): Size(63.0e6),
    ("center_net", "resnet_v1_50_fpn"): Size(25.3e6, 2080),
    ("center_net", "resnet_v1_101_fpn"): Size(44.3e6),
    ("center_net", "hourglass_104"): Size(191e6),
}
"""By meta-architecture and a part of the feature extractor's name.

With bytes per pixel: measured, a preset with three classes, two training steps in float32 on the CPU, the difference
of the peaks with 3 and with 1 images. Without: parameters alone, from those by the published sizes of the backbones
(He et al. 2015, Tan et al. 2020 with the classifier that upstream keeps, Zhou et al. 2019).
"""


def size(config: PipelineConfig) -> Size | None:
    """The `Size` of a pipeline's network; None for a feature extractor that is not in the table."""
    name, kind = architecture.extractor_type(config), config.model.WhichOneof("model")
    found = next((size for (meta, part), size in SIZES.items() if meta == kind and part in name), None)
    if found is None or "mobilenet" not in name:
        return found
    # Both sides of a layer get narrower with the multiplier, its activations on one: `tiny` (0.35) has 0.34e6, 801.
    width = architecture.body(config).feature_extractor.depth_multiplier
    return Size(found.parameters * width**2, (found.bytes_per_pixel or 0) * width)


def slots(config: PipelineConfig) -> int:
    """Values that the optimizer keeps for each parameter, moving averages of the weights among them."""
    optimizer = config.train_config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    number = {"momentum_optimizer": 1, "rms_prop_optimizer": 2, "adam_optimizer": 2}.get(kind, 0)
    if kind == "momentum_optimizer" and not optimizer.momentum_optimizer.momentum_optimizer_value:
        number = 0
    return number + optimizer.use_moving_average


def checkpoint_bytes(config: PipelineConfig) -> int:
    """Bytes of one training checkpoint; 0 where nothing tells. By the table, else by the checkpoint it starts from."""
    network = size(config)
    if network is not None:
        return round(network.parameters * FLOAT * (1 + slots(config)))
    start = checkpoint_index.read(config.train_config.fine_tune_checkpoint) or {}
    return sum(tensor.size for key, tensor in start.items() if key.startswith("model/")) * (1 + slots(config))


def checkpoints(schedule: WriteSchedule) -> tuple[int, int]:
    """Checkpoints on disk at once: surely, and where the evaluator lags behind.

    One more than are kept while the newest is written, one more for the copy of the best.
    """
    surely = schedule.checkpoint_max_to_keep + 2
    return surely, surely + schedule.checkpoint_backlog_max


def event_bytes(config: PipelineConfig, schedule: WriteSchedule) -> int:
    """Bytes of the run's event files at its end, at most: those of cadences that the budget does not change, or it."""
    steps, seen = config.train_config.num_steps, architecture.image_size(config)
    pixels = seen[0] * seen[1] if seen else 0
    images = 0
    if schedule.image_summary_every_n:
        shown = min(schedule.image_summary_max_outputs, config.train_config.batch_size)
        images += steps // schedule.image_summary_every_n * shown
    evaluations = steps // max(schedule.checkpoint_every_n, 1)
    # Side by side: detections and groundtruth.
    images += evaluations // schedule.eval_image_every_n * schedule.eval_image_outputs * 2
    size = round(images * pixels * JPEG_PER_PIXEL) + steps // schedule.summary_every_n * SCALARS
    return min(size, schedule.event_log_budget) if schedule.event_log_budget and not schedule.exact else size


def memory_bytes(config: PipelineConfig, batch_size: int) -> tuple[int, int] | None:
    """The least and the most memory that training with `batch_size` images per device is likely to take.

    None for a network that was not measured, or images of any size.
    """
    network, seen = size(config), architecture.image_size(config)
    if network is None or network.bytes_per_pixel is None or seen is None:
        return None
    weights = network.parameters * FLOAT * (2 + slots(config))
    taken = weights + batch_size * seen[0] * seen[1] * network.bytes_per_pixel
    return round(taken * LEAST), round(taken * MOST) + RUNTIME
