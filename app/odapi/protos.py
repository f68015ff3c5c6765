"""Text of the OD API's protos to messages and back, without TensorFlow."""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message
from object_detection.protos import pipeline_pb2, string_int_label_map_pb2

from app.errors import SettingsError

PROTO_ERROR = re.compile(r"^(?P<line>\d+):(?P<column>\d+) *:? *(?P<what>.*)$", re.DOTALL)


def parse_pipeline(text: str, *, where: str) -> Any:
    """The TrainEvalPipelineConfig in `text`; `where` (a path or a setting) names it in the SettingsError."""
    return _parse(
        text,
        pipeline_pb2.TrainEvalPipelineConfig(),
        where=where,
        remedy="a TF2 pipeline.config is wanted; one of the TF1 days goes through `detbox migrate`",
    )


def print_pipeline(config: Message) -> str:
    """The proto text of a TrainEvalPipelineConfig, as upstream writes it."""
    return text_format.MessageToString(config)


def parse_label_map(text: str, *, where: str) -> dict[int, str]:
    """Class ids (1 and up) to names, in the order of the file; SettingsError where an id or a name is not usable."""
    remedy = 'write items as: item { id: 1 name: "cat" }, ids from 1 without a gap'
    message = _parse(text, string_int_label_map_pb2.StringIntLabelMap(), where=where, remedy=remedy)
    names: dict[int, str] = {}
    for item in message.item:
        if item.id < 1 or item.id in names or not item.name:
            fault = "has no name" if not item.name else "is not above 0" if item.id < 1 else "appears twice"
            raise SettingsError(f"item with id {item.id} {fault}", where=where, remedy=remedy)
        if item.name in names.values():
            raise SettingsError(f"name {item.name!r} appears twice", where=where, remedy=remedy)
        names[item.id] = item.name
    return names


def print_label_map(names: Mapping[int, str]) -> str:
    """The proto text of a label map: `names` maps class ids (1 and up) to names."""
    message = string_int_label_map_pb2.StringIntLabelMap()
    for number in sorted(names):
        message.item.add(id=number, name=names[number])
    return text_format.MessageToString(message)


def _parse(text: str, message: Message, *, where: str, remedy: str) -> Any:
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        match = PROTO_ERROR.match(str(error))
        what, place = str(error), where
        if match:
            what, place = match["what"], f"{where}:{match['line']}"
        raise SettingsError(f"does not parse: {what}", where=place, remedy=remedy) from None
