"""What becomes of a file that another process, a disk or a hand has had: its bytes changed by lot."""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

HUGE = "9" * 400
WORDS = (
    "", " ", "0", "-1", "1", "1.5", "-0.0", "1e308", "1e400", "NaN", "-Infinity", "inf", HUGE, "2147483648",
    "-9223372036854775809", "18446744073709551616", "0x7f", "1_000", "٣", "null", "None", "true", "[]", "{}", '"', "'",
    "\\", "\\n", "..", "../../escaped", "/", "/etc/passwd", "/dev/null", "C:\\a\\b.jpg", "~", "~root", "a/../../b",
    "\0", "\x1b[31m", "\x9b31m", "\u202e", "\u2028", "\x85", "\x0c", "\x1c", "\ufeff", "\r", "\r\n", "\t",
    "\ud800", "\udcff", "é", "e\u0301", "\U0001f600", "\uffff", "%s%n", "{0}", "${HOME}", "&lt;", "&x;",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>", "*", "?", "[", "[!", "**", "con", ".", "-", "--help", "a" * 300, "a" * 5000,
    "http://[", "file:///etc/passwd", "\N{GREEK SMALL LETTER ALPHA}" * 90,
)  # fmt: skip
"""What takes a word's place: numbers of no range, characters that end lines or steer, names that lead elsewhere."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 1e-308, float("nan"), float("inf"), 2**53, 2**63, 10**18, 10**400,
    [], {}, [[]], {"": {}}, [None], [1, 2, 3, 4], {"a": 1}, "", *WORDS,
)  # fmt: skip
GARBAGE = (
    b"", b"\0" * 512, b"\n" * 3, b"null", b"[]", b"{}", b"7", b'"x"', b"{", b"[" * 100_000, b"{" * 20_000,
    b'{"a":' * 20_000, b"<a>" * 20_000, b"a{" * 20_000, b"- " * 5_000, b"\xff\xfe", b"\xff\xfe\0", b"\xfe\xff\0a",
    b"\xef\xbb\xbf",
    b"\x80\x81\x82", b"\xed\xa0\x80", b"a" * 300_000, b'"' + b"a" * 200_000, b"9" * 10_000, b"\x1f\x8b\x08\0\0\0\0\0",
    b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"%!PS\n", b"version https://git-lfs.github.com/spec/v1\n",
    b"&a " * 999, b"a: &a [*a]\n", b"? " * 2_000, b"<?xml version='1.0' encoding='x'?><a/>",
)  # fmt: skip
ENDS = (b"\r\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b", b"\n\n", b"\0", b"")
_TOKEN = re.compile(rb'"[^"\n]*"|[^\s,;:<>{}\[\]()"\'=]+')
_MOST = 1 << 20
"""Bytes that doubling may make of a file."""


def mutate(random: Random, whole: bytes, another: bytes = b"") -> bytes:
    """`whole` with one to three changes. `another`: a file that a part may come from."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        whole = random.choice(CHANGES)(random, whole, another)
    return whole


def _cut(random: Random, whole: bytes, another: bytes) -> bytes:
    start, end = _span(random, whole)
    return random.choice((whole[:start], whole[start:], whole[:start] + whole[end:]))


def _flip(random: Random, whole: bytes, another: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(random.choice((1, 1, 2, 8, 64)) if data else 0):
        # The first bytes say what a file is and how long its parts are.
        at = random.randrange(min(len(data), random.choice((64, len(data)))))
        data[at] = random.choice((data[at] ^ 1 << random.randrange(8), random.randrange(256), 0, 255))
    return bytes(data)


def _insert(random: Random, whole: bytes, another: bytes) -> bytes:
    at = random.randint(0, len(whole))
    some = another[slice(*_span(random, another))]
    new = random.choice((_word(random), random.randbytes(random.randint(1, 40)), b"\0" * 100, some))
    return whole[:at] + new + whole[at:]


def _double(random: Random, whole: bytes, another: bytes) -> bytes:
    start, end = _span(random, whole)
    times = random.choice((1, 1, 2, 50, 3000))
    return whole[:end] + whole[start:end] * min(times, _MOST // (end - start + 1)) + whole[end:]


def _lines(random: Random, whole: bytes, another: bytes) -> bytes:
    lines = whole.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        lines.insert(at, lines[other])
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines[at] = random.choice((random.choice(GARBAGE), _word(random), lines[at] * 40))
    return b"\n".join(lines) if kind < 4 else random.choice(ENDS).join(lines)


def _tokens(random: Random, whole: bytes, another: bytes) -> bytes:
    """Replaces words, numbers and quoted texts, as structure goes on to hold around them."""
    found = list(_TOKEN.finditer(whole[:_MOST]))
    for match in sorted(random.sample(found, min(len(found), random.choice((1, 1, 2, 5)))), key=lambda m: -m.start()):
        new = random.choice((_word(random), random.choice(found)[0]))
        if match[0][:1] == b'"' and random.random() < 0.7:
            new = b'"' + new.replace(b'"', b"") + b'"'
        whole = whole[: match.start()] + new + whole[match.end() :]
    return whole


def _encoding(random: Random, whole: bytes, another: bytes) -> bytes:
    text = whole.decode("utf-8", errors="replace")
    name = random.choice(("utf-16", "utf-8-sig", "utf-16-be", "utf-16-le", "utf-32", "cp1252", "gb18030", "utf-7"))
    return text.encode(name, errors="replace")


def _garbage(random: Random, whole: bytes, another: bytes) -> bytes:
    return random.choice((random.choice(GARBAGE), random.randbytes(random.randint(0, 200)), another))


def _json(random: Random, whole: bytes, another: bytes) -> bytes:
    """Replaces or deletes values of JSON, or of a line of it, at any depth; of other files it changes words."""
    lines = [whole] if _parsed(whole) is not None else whole.split(b"\n")
    at = random.randrange(len(lines))
    value = _parsed(lines[at])
    if not isinstance(value, (dict, list)):
        return _tokens(random, whole, another)
    for _ in range(random.choice((1, 1, 2, 4))):
        _replace(random, value)
    lines[at] = json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _replace(random: Random, held: Any) -> None:
    keys = list(held) if isinstance(held, dict) else list(range(len(held)))
    if not keys:
        return
    key = random.choice(keys)
    inner = held[key]
    if isinstance(inner, (dict, list)) and inner and random.random() < 0.8:
        _replace(random, inner)
    elif random.random() < 0.2:
        del held[key]
    elif isinstance(held, dict) and random.random() < 0.15:
        held[random.choice(WORDS)] = held.pop(key)
    else:
        held[key] = (
            _deep(random)
            if random.random() < 0.05
            else random.choice((random.choice(VALUES), held[random.choice(keys)]))
        )


def _deep(random: Random) -> Any:
    value: Any = random.choice(VALUES)
    for _ in range(random.choice((3, 50, 200))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


def _word(random: Random) -> bytes:
    return random.choice(WORDS).encode("utf-8", random.choice(("surrogatepass", "surrogatepass", "replace")))


def _span(random: Random, whole: bytes) -> tuple[int, int]:
    """Where a part begins and ends, short ones as often as long ones."""
    start = random.randint(0, len(whole))
    return start, min(len(whole), start + random.choice((1, 4, 16, 100, len(whole) + 1)))


CHANGES: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _cut, _flip, _flip, _insert, _double, _lines, _lines, _tokens, _tokens, _tokens, _json, _json, _json, _encoding,
    _garbage,
)  # fmt: skip
