"""Event logs as the writers of TF1, TF2, PyTorch and upstream's loop make them, and TensorBoard's reader."""

import io
import os
import sys
import types
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.util import tensor_util

from app.tfrecord import frame

# TensorBoard's reader without TensorFlow, as it is for those who have none.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))

Value = summary_pb2.Summary.Value
START = event_pb2.SessionLog(status=event_pb2.SessionLog.START)


def png(seed: int, size=(48, 32)) -> bytes:
    """A small photograph."""
    rng = np.random.default_rng(seed)
    base = np.asarray(Image.fromarray(rng.integers(0, 255, (6, 9, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC))
    noise = rng.integers(-12, 12, (*base.shape[:2], 1))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Log:
    """An event file that is written event by event; times go on by themselves."""

    def __init__(self, folder: Path, *, start: float, version: str = "brain.Event:2"):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"events.out.tfevents.{start:.0f}.host.1.0.v2"
        self.time = start
        self._file = open(self.path, "wb")  # noqa: SIM115
        self.event(file_version=version)

    def event(self, step: int = 0, **fields) -> "Log":
        self.time += 0.25
        return self.raw(event_pb2.Event(**{"wall_time": self.time, "step": step, **fields}).SerializeToString())

    def raw(self, data: bytes) -> "Log":
        """A record that may be no event."""
        self._file.write(frame(data))
        return self

    def values(self, step: int, *values: Value) -> "Log":
        return self.event(step, summary=summary_pb2.Summary(value=values))

    def close(self) -> Path:
        """Ended, and older than any writer leaves what it has unwritten."""
        self._file.close()
        os.utime(self.path, (self.time, self.time))
        return self.path


def tf1_scalar(tag: str, number: float) -> Value:
    return Value(tag=tag, simple_value=number)


def tf1_image(tag: str, encoded: bytes, size=(48, 32)) -> Value:
    width, height = size
    image = summary_pb2.Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=encoded)
    return Value(tag=tag, image=image)


def tf2_scalar(tag: str, number: float, *, described: bool = True) -> Value:
    about = scalar_metadata.create_summary_metadata("", "") if described else None
    return Value(tag=tag, tensor=tensor_util.make_tensor_proto(np.float32(number)), metadata=about)


def tf2_images(tag: str, encoded: list[bytes], size=(48, 32), *, described: bool = True) -> Value:
    about = image_metadata.create_summary_metadata(None, None, converted_to_tensor=True) if described else None
    strings = [str(side).encode() for side in size] + encoded
    return Value(tag=tag, tensor=tensor_util.make_tensor_proto(strings), metadata=about)


def histogram(tag: str, seed: int) -> Value:
    counts, limits = np.histogram(np.random.default_rng(seed).normal(size=100), bins=8)
    held = summary_pb2.HistogramProto(
        min=limits[0], max=limits[-1], num=100, sum=1, sum_squares=1, bucket_limit=limits[1:], bucket=counts
    )
    return Value(tag=tag, histo=held)


def text(tag: str, words: str) -> Value:
    about = text_metadata.create_summary_metadata("", "")
    return Value(tag=tag, tensor=tensor_util.make_tensor_proto([words.encode()]), metadata=about)


def tf1_log(folder: Path, steps: int = 40) -> Path:
    """FileWriter's: a graph, a session's start, merged summaries, metadata with the first value of a tag only."""
    log = Log(folder, start=1_500_000_000).event(graph_def=b"graph" * 50).event(session_log=START)
    for step in range(0, steps * 10, 10):
        log.values(
            step,
            tf1_scalar("losses/total", 10 - step / 100),
            tf1_scalar("losses/rpn", float(np.sin(step))),
            tf1_image("input/image/0", png(step)),
            tf1_image("input/image/1", png(step + 1)),
        )
        log.values(step, tf2_scalar("new_style", step / 3, described=step == 0))
        log.values(step, tf2_images("new_images", [png(step + 2)], described=step == 0))
    log.event(390, log_message=event_pb2.LogMessage(message="done"))
    return log.close()


def torch_log(folder: Path, steps: int = 40) -> Path:
    """SummaryWriter's: scalars and images of the old form, histograms, text, a figure; one tag without steps."""
    log = Log(folder, start=1_600_000_000)
    for step in range(steps):
        log.values(step, tf1_scalar("loss/train", 3.0 / (step + 1)))
        log.values(step, tf1_image("samples", png(step)))
        log.values(step, histogram("weights/conv1", step))
        log.values(0, tf1_scalar("without_steps", float(step)))
    log.values(0, text("config/text_summary", "batch_size: 8"))
    return log.close()


def upstream_log(folder: Path) -> list[Path]:
    """Upstream's loop: four processes, each from the checkpoint before the end of the last one, the last one cut."""
    paths = []
    for number, (first, last) in enumerate([(0, 900), (500, 1400), (1000, 1900), (1500, 2600)]):
        log = Log(folder, start=1_700_000_000 + number * 10_000)
        for step in range(first, last, 100):
            log.values(step, tf2_scalar("Loss/total_loss", number + step / 1000))
            log.values(step, tf2_scalar("learning_rate", 0.01))
            log.values(step, tf2_images("train_input_images", [png(step + number), png(step + 7)]))
        paths.append(log.close())
    data = paths[-1].read_bytes()
    paths[-1].write_bytes(data[:-500])
    os.utime(paths[-1], (log.time, log.time))
    return paths


def read(folder: Path) -> dict[str, list[tuple[int, float, object]]]:
    """{tag: (step, time, tensor) of all values} as TensorBoard's reader has them, restarts purged as it does."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    # Every value; TensorBoard would show a sample.
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, event.wall_time, event.tensor_proto) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


def plugins(folder: Path) -> dict[str, str]:
    """{tag: plugin} as TensorBoard's reader has them."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tags = reader.Tags()["tensors"]
    return {tag: reader.SummaryMetadata(tag).plugin_data.plugin_name for tag in tags}


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, float(tensor_util.make_ndarray(tensor))) for step, _, tensor in read(folder)[tag]]


def pixels(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
