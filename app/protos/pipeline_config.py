"""The text of a pipeline.config to its message and back, without TensorFlow."""

from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2, train_pb2

from app.protos.proto_text import REMEDY_OF_RUN, parse_proto, read_proto_text, refuse_control_characters

PipelineConfig: TypeAlias = Any
"""A `TrainEvalPipelineConfig` message; protoc wrote no types for it."""
DetectionModel: TypeAlias = Any
"""A `DetectionModel` message: the `model` of a pipeline.config."""

CHECKPOINT_V2 = train_pb2.CheckpointVersion.Value("V2")
"""The object-based checkpoints of TF2, as `fine_tune_checkpoint_version` wants them named."""


def parse_pipeline(text: str, *, where: str) -> PipelineConfig:
    """The TrainEvalPipelineConfig in `text`; `where` (a path or a setting) names it in the SettingsError."""
    config = parse_proto(
        text,
        pipeline_pb2.TrainEvalPipelineConfig(),
        where=where,
        remedy="fix that line: fields are those of upstream's pipeline.proto",
    )
    refuse_control_characters(config, where=where)
    return config


def read_pipeline(path: Path, *, remedy: str = REMEDY_OF_RUN) -> PipelineConfig:
    """The TrainEvalPipelineConfig in the UTF-8 file `path`, which names it in the SettingsError.

    `remedy`: for a file that is no text at all; by default that of a run's own.
    """
    return parse_pipeline(read_proto_text(path, remedy=remedy), where=str(path))


def print_pipeline(config: PipelineConfig) -> str:
    """The proto text of a TrainEvalPipelineConfig, as upstream writes it."""
    return text_format.MessageToString(config)


def merge_pipeline(text: str, config: PipelineConfig, *, where: str) -> None:
    """Merges the proto text `text` into `config`: scalars replace, repeated fields are appended.

    Two exceptions, so that an override says what it means: one `eval_input_reader` changes the first instead
    of adding a second, and an `input_path` replaces those that are there.
    """
    override = parse_pipeline(text, where=where)
    if len(override.eval_input_reader) == 1 and config.eval_input_reader:
        _merge_reader(override.eval_input_reader[0], config.eval_input_reader[0])
        override.ClearField("eval_input_reader")
    if override.HasField("train_input_reader"):
        _merge_reader(override.train_input_reader, config.train_input_reader)
        override.ClearField("train_input_reader")
    config.MergeFrom(override)


def _merge_reader(override: Any, reader: Any) -> None:
    if override.tf_record_input_reader.input_path:
        reader.tf_record_input_reader.ClearField("input_path")
    reader.MergeFrom(override)
