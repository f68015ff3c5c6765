"""Proto text that was written for an older OD API: fields that today's protos lack are taken out and named."""

import re
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

from app.protos import pipeline_config

NO_FIELD = re.compile(r'Message type "(?:.*\.)?(?P<message>\w+)" has no field named "(?P<field>.+)"')
SKIPPED = r"(?:\s|\#[^\n]*(?:\n|$))*"
"""Blanks and comments."""
STRING = r"""(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
SCALAR = re.compile(rf"{STRING}(?:{SKIPPED}{STRING})*|[^\s,;}}>\]\#]+")
TOKEN = re.compile(rf"{STRING}|\#[^\n]*|[{{}}<>\[\]]")
OPEN, CLOSE = "{<[", "}>]"


@dataclass(frozen=True)
class UnknownField:
    """A field that was taken out: its name, the message it stood in, its text, the line (from 1)."""

    name: str
    message: str
    text: str
    line: int


def parse_pipeline(text: str, *, where: str) -> tuple[Any, list[UnknownField]]:
    """The TrainEvalPipelineConfig in `text`, and what it has that the protos do not know.

    Raises SettingsError, as `protos.parse_pipeline` does, for every other fault.
    """
    unknown: list[UnknownField] = []
    while True:
        try:
            return text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig()), unknown
        except text_format.ParseError as error:
            match = NO_FIELD.search(str(error))
            span = _span(text, error, match["field"]) if match else None
            if match is None or span is None:
                return pipeline_config.parse_pipeline(text, where=where), unknown
            start, end = span
            whole = " ".join(text[start:end].split())
            unknown.append(UnknownField(match["field"], match["message"], whole, text.count("\n", 0, start) + 1))
            # Blanks in its place keep the lines and columns of what follows.
            text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _span(text: str, error: text_format.ParseError, name: str) -> tuple[int, int] | None:
    """Where the field at the error begins and ends, or None if it is not to be found there."""
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: (error.GetLine() or 1) - 1]) + (error.GetColumn() or 1) - 1
    if not text.startswith(name, start):
        return None
    head = re.compile(rf"{re.escape(name)}{SKIPPED}:?{SKIPPED}").match(text, start)
    end = _value_end(text, head.end()) if head else None
    return None if end is None else (start, end)


def _value_end(text: str, start: int) -> int | None:
    """The end of the value that begins at `start`: a message, a list, or a scalar. None where it does not end."""
    if text[start : start + 1] not in tuple(OPEN):
        scalar = SCALAR.match(text, start)
        return scalar.end() if scalar else None
    depth = 0
    for token in TOKEN.finditer(text, start):
        depth += (token[0] in OPEN) - (token[0] in CLOSE)
        if depth == 0 and token[0] in CLOSE:
            return token.end()
    return None
