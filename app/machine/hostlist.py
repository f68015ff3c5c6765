"""Slurm's short forms of lists: `gpu[01-03,7],login` and `2(x3),1`."""

import itertools
import re

MOST = 65_536
"""Hosts that one list may stand for."""
PART = re.compile(r"(?:[^,\[\]]|\[[^\[\]]*\])+")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
RANGE = re.compile(r"(\d+)(?:-(\d+))?")
COUNT = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def expand(text: str) -> list[str]:
    """The host names of a list, in its order. Raises ValueError for what is no such list."""
    parts = PART.findall(text)
    if not parts or ",".join(parts) != text.strip():
        raise ValueError(f"{text!r} is no list of hosts")
    hosts = [host for part in parts for host in _expand_part(part.strip(), text)]
    if len(hosts) > MOST:
        raise ValueError(f"{text!r} has more than {MOST} hosts")
    return hosts


def expand_counts(text: str) -> list[int]:
    """`2(x3),1` -> 2, 2, 2, 1. Raises ValueError for what is no such list."""
    matches = [COUNT.fullmatch(part) for part in text.split(",")]
    if not all(matches) or sum(int(match[2] or 1) for match in matches if match) > MOST:
        raise ValueError(f"{text!r} is no list of counts")
    return [int(match[1]) for match in matches if match for _ in range(int(match[2] or 1))]


def _expand_part(part: str, text: str) -> list[str]:
    """`a[1-2]b[3,4]` -> a1b3, a1b4, a2b3, a2b4."""
    pieces = BRACKETS.split(part)
    choices = [[piece] if i % 2 == 0 else _numbers(piece, text) for i, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in itertools.islice(itertools.product(*choices), MOST + 1)]


def _numbers(ranges: str, text: str) -> list[str]:
    """`01-03,7` -> 01, 02, 03, 7: the width of the first number is kept."""
    found: list[str] = []
    for some in ranges.split(","):
        match = RANGE.fullmatch(some)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not match or not first <= last < first + MOST:
            raise ValueError(f"{some!r} is no range in the list of hosts {text!r}")
        found += [str(number).zfill(len(match[1])) for number in range(first, last + 1)]
    return found
