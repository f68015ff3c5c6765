"""The text of a label map, read as it was meant: editors turn quotes, and people write JSON or leave quotes out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf import text_encoding

REMEDY = 'write items as: item { id: 1 name: "cat" }, ids from 1 without a gap'
QUOTES = "label map with other quotes than ' and \""
UNQUOTED = "label map with names without quotes"
MARKS = "label map written unlike upstream's"

_CURLY = "“”„‟«»‹›‘’‚‛`´＂＇"
_END = r"(?=[\s{}<>\[\],;:=#/]|\w+\s*:|\Z)"
_TOKEN = re.compile(
    rf"""(?P<blank>[\s\ufeff\u200b]+|(?:\#|//)[^\n]*)
    |(?P<string>"(?:\\.|[^\\\n])*?"{_END}|'(?:\\.|[^\\\n])*?'{_END})
    |(?P<curly>[{_CURLY}][^\n]*?[{_CURLY}"']{_END}|["'][^\n]*?[{_CURLY}]{_END})
    |(?P<mark>[{{}}<>\[\]:,;=])
    |(?P<word>[^\s{{}}<>\[\]:,;="'{_CURLY}][^\s{{}}<>\[\]:,;=]*)""",
    re.VERBOSE,
)
_NAMES = ("name", "display_name")
_CLOSING = {"{": "}", "<": ">", "[": "]"}


@dataclass(frozen=True)
class Remark:
    """What is amiss in a line of a label map: its kind, and particulars."""

    kind: str
    line: int
    detail: str = ""


class LabelMapError(ValueError):
    """What is wrong in a label map, the line (0: the file as a whole), and what to do."""

    def __init__(self, what: str, line: int = 0, remedy: str = REMEDY):
        super().__init__(what)
        self.line, self.remedy = line, remedy


@dataclass(frozen=True)
class Item:
    """A class as it is written: `number` None where it has no id."""

    number: int | None
    name: str
    display_name: str
    line: int


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class _Field:
    """`value`: a text, or the fields of a block. `key` is empty where it has none, as in a list of JSON."""

    key: str
    value: "str | list[_Field]"
    line: int


def parse(text: str) -> tuple[list[Item], list[Remark]]:
    """The items of a label map in order, and what was repaired. Raises LabelMapError."""
    parser = _Parser(text)
    fields = parser.fields()
    items = [_item(field) for field in _items(fields)]
    return items, parser.remarks


class _Parser:
    def __init__(self, text: str):
        self.text, self.remarks = text, list[Remark]()
        self._tokens, self._at = list(self._split(text)), 0

    def _split(self, text: str) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise LabelMapError(f"no quote closes {text[at : at + 30].splitlines()[0]}", line)
            kind, end = str(match.lastgroup), match.end()
            if kind != "blank":
                yield _Token(kind, match[0], line, at, end)
            line += text.count("\n", at, end)
            at = end

    def _peek(self, ahead: int = 0) -> _Token | None:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else None

    def _is(self, marks: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind == "mark" and token.text in marks

    def fields(self, opened: _Token | None = None, depth: int = 0) -> list[_Field]:
        """The fields up to the mark that closes `opened`, or to the end."""
        found: list[_Field] = []
        if depth > 20:
            raise LabelMapError("too many braces within braces", opened.line if opened else 0)
        while token := self._peek():
            if self._is(",;"):
                self._at += 1
            elif opened and self._is(_CLOSING[opened.text]):
                self._at += 1
                return found
            elif self._is("{[") and (not opened or opened.text == "["):
                if token.text == "{" and not opened:
                    self._remark(MARKS, token, "braces around all")
                found.append(_Field("", self._block(depth), token.line))
            elif token.kind == "mark":
                raise LabelMapError(f"{token.text} where none belongs", token.line)
            elif opened and opened.text == "[":
                found.append(_Field("", self._value(token), token.line))
            else:
                found.append(self._field(depth))
        if opened:
            raise LabelMapError(f"{opened.text} is never closed", opened.line)
        return found

    def _block(self, depth: int) -> list[_Field]:
        token = self._tokens[self._at]
        self._at += 1
        return self.fields(token, depth + 1)

    def _field(self, depth: int) -> _Field:
        token = self._tokens[self._at]
        self._at += 1
        key = token.text.strip(_CURLY + "\"'")
        if key != key.lower():
            self._remark(MARKS, token, f"capitals in {key}")
        if token.kind != "word":
            self._remark(MARKS, token, "fields in quotes")
        has_colon = self._is(":=")
        if has_colon:
            if self._is("="):
                self._remark(MARKS, token, "= for :")
            self._at += 1
        if self._is("{<["):
            return _Field(key, self._block(depth), token.line)
        value = self._peek()
        if value is None or value.kind == "mark" or (value.line != token.line and not has_colon):
            raise LabelMapError(f"{key} has no value", token.line)
        if not has_colon:
            self._remark(MARKS, token, f"no colon after {key}")
        return _Field(key, self._value(value, key.lower() in _NAMES), token.line)

    def _value(self, first: _Token, is_name: bool = False) -> str:
        if first.kind == "word":
            return self._words(first, is_name)
        parts = []
        while (token := self._peek()) and token.kind in ("string", "curly") and not self._is(":=", 1):
            self._at += 1
            parts.append(_unescaped(token.text[1:-1]))
            if token.kind == "curly":
                self._remark(QUOTES, token, token.text)
        if not parts:
            raise LabelMapError(f"{first.text[:30]} where a value belongs", first.line)
        return "".join(parts)

    def _words(self, first: _Token, is_name: bool) -> str:
        """A number or constant; of a name without quotes the words of its line, up to the next field."""
        self._at += 1
        end = first.end
        while is_name and (token := self._peek()):
            if token.kind != "word" or token.line != first.line or self._is(":={<", 1):
                break
            end = token.end
            self._at += 1
        text = self.text[first.start : end]
        if is_name:
            self._remark(UNQUOTED, first, text)
        return text

    def _remark(self, kind: str, token: _Token, detail: str) -> None:
        self.remarks.append(Remark(kind, token.line, detail))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return text_encoding.CUnescape(text).decode("utf-8")
    except ValueError:
        return text


def _items(fields: list[_Field]) -> Iterator[_Field]:
    for field in fields:
        if isinstance(field.value, list):
            keys = {inner.key.lower() for inner in field.value}
            if keys & {"id", "name", "display_name"} and field.key.lower() in ("", "item", "items"):
                yield field
            elif field.key.lower() in ("", "item", "items"):
                yield from _items(field.value)


def _item(field: _Field) -> Item:
    said: dict[str, str] = {}
    for inner in field.value:
        if not isinstance(inner, _Field) or inner.key.lower() not in ("id", "name", "display_name"):
            if isinstance(inner, _Field) and inner.key.lower() in ("item", "items"):
                raise LabelMapError("an item in an item: a } is missing before it", inner.line)
            continue
        if inner.key.lower() in said or not isinstance(inner.value, str):
            raise LabelMapError(f"{inner.key} is there twice, or no text", inner.line)
        said[inner.key.lower()] = inner.value
    number = said.get("id")
    if number is not None and not re.fullmatch(r"\s*[-+]?\d{1,9}\s*", number):
        raise LabelMapError(f"id {number[:30]} is no whole number", field.line)
    name, display_name = said.get("name", ""), said.get("display_name", "")
    return Item(None if number is None else int(number), name, display_name, field.line)
