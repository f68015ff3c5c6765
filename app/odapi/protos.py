"""Text of the OD API's protos to messages and back, without TensorFlow."""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message
from object_detection.protos import pipeline_pb2, string_int_label_map_pb2, train_pb2

from app.errors import SettingsError

PROTO_ERROR = re.compile(r"^(?P<line>\d+):\d+ : (?:'.*': )?(?P<what>.*)$", re.DOTALL)
"""How text_format words an error: line:column, for some errors the whole line quoted, the fault."""

CHECKPOINT_V2 = train_pb2.CheckpointVersion.Value("V2")
"""The object-based checkpoints of TF2, as `fine_tune_checkpoint_version` wants them named."""


def parse_pipeline(text: str, *, where: str) -> Any:
    """The TrainEvalPipelineConfig in `text`; `where` (a path or a setting) names it in the SettingsError."""
    return _parse(
        text,
        pipeline_pb2.TrainEvalPipelineConfig(),
        where=where,
        remedy="mend that line: fields are those of upstream's pipeline.proto",
    )


def print_pipeline(config: Message) -> str:
    """The proto text of a TrainEvalPipelineConfig, as upstream writes it."""
    return text_format.MessageToString(config)


def merge_pipeline(text: str, config: Any, *, where: str) -> None:
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


def parse_label_map(text: str, *, where: str) -> dict[int, str]:
    """Class ids (1 and up) to names, in the file's order; SettingsError for an id or name of no use."""
    remedy = 'write items as: item { id: 1 name: "cat" }, ids from 1 without a gap'
    message = _parse(text, string_int_label_map_pb2.StringIntLabelMap(), where=where, remedy=remedy)
    names: dict[int, str] = {}
    for item in message.item:
        fault = ""
        if not item.name:
            fault = "has no name"
        elif item.id < 1:
            fault = "is not above 0"
        elif item.id in names:
            fault = "appears twice"
        elif item.name in names.values():
            fault = f"has a name that another has too: {item.name}"
        if fault:
            raise SettingsError(f"item with id {item.id} {fault}", where=where, remedy=remedy)
        names[item.id] = item.name
    return names


def parse_shown_names(text: str, *, where: str) -> dict[int, str]:
    """Class ids to the names that people read, of any label map that upstream has: `display_name` before `name`.

    Lenient, since nothing is trained by it: gaps, an id of 0 and doubles are no fault. SettingsError if it does not
    parse.
    """
    remedy = 'write items as: item { id: 1 name: "cat" }'
    message = _parse(text, string_int_label_map_pb2.StringIntLabelMap(), where=where, remedy=remedy)
    return {item.id: item.display_name or item.name or f"class {item.id}" for item in message.item}


def print_label_map(names: Mapping[int, str]) -> str:
    """The proto text of a label map: `names` maps class ids (1 and up) to names."""
    message = string_int_label_map_pb2.StringIntLabelMap()
    for number in sorted(names):
        message.item.add(id=number, name=names[number])
    return text_format.MessageToString(message)


def _merge_reader(override: Any, reader: Any) -> None:
    if override.tf_record_input_reader.input_path:
        reader.tf_record_input_reader.ClearField("input_path")
    reader.MergeFrom(override)


def _parse(text: str, message: Message, *, where: str, remedy: str) -> Any:
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        match = PROTO_ERROR.match(str(error))
        what = match["what"] if match else str(error)
        place = f"{where}:{match['line']}" if match else where
        raise SettingsError(f"does not parse: {what}", where=place, remedy=remedy) from None
