"""Apply a quilt series of unified diffs with no fuzz, no offset and no tool beyond Python."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

REQUIRED_FIELDS = ("Description", "Author", "Origin", "Forwarded", "Last-Update")
"""DEP-3 fields that every patch of the series must fill in."""

SEAM_FROM = 900
"""Patches numbered from here on change how the loops behave; those before only make upstream run."""

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NO_NEWLINE = "\\ No newline at end of file"


class PatchError(Exception):
    """A patch or the series is at fault; the message says which, where, and the remedy."""


@dataclass(frozen=True)
class Hunk:
    old_start: int
    line: int  # where the hunk begins in the patch file
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class FileChange:
    path: str
    creates: bool
    deletes: bool
    hunks: tuple[Hunk, ...]


def read_series(folder: Path, *, seam: bool = True) -> list[Path]:
    """The patches that `series` names, in order; every *.patch in the folder must be named there once."""
    series = folder / "series"
    if not series.is_file():
        raise PatchError(f"patches/series is missing in {folder.parent.name}: restore it from version control")
    lines = (line.split("#", 1)[0].strip() for line in series.read_text(encoding="utf-8").splitlines())
    names = [line for line in lines if line]
    for name in names:
        if names.count(name) > 1:
            raise PatchError(f"patches/series names {name} more than once: remove the repetition")
        if not (folder / name).is_file():
            raise PatchError(f"patches/series names {name}, which is not in patches/: add the file or drop the line")
    for path in sorted(folder.glob("*.patch")):
        if path.name not in names:
            raise PatchError(f"patches/{path.name} is not named in patches/series: add its line or delete the file")
    return [folder / name for name in names if seam or not is_seam(name)]


def is_seam(name: str) -> bool:
    """Whether a patch belongs to the seam (0900 and above) and not to the compatibility patches."""
    number = re.match(r"\d+", name)
    return bool(number) and int(number.group()) >= SEAM_FROM


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_lines(path: Path) -> list[str]:
    """The lines with their ends; only a line feed ends one, as in a diff."""
    return re.findall(r"[^\n]*\n|[^\n]+", path.read_bytes().decode("utf-8"))


def parse_header(path: Path) -> dict[str, str]:
    """The DEP-3 fields above the first `---` line; a continuation line starts with a blank."""
    fields: dict[str, str] = {}
    name = ""
    for line in (line.removesuffix("\n") for line in read_lines(path)):
        if line.startswith("--- "):
            break
        match = re.match(r"^([A-Za-z-]+):\s*(.*)$", line)
        if match:
            name = match[1]
            fields[name] = match[2].strip()
        elif name and line.startswith(" "):
            fields[name] += "\n" + line.strip()
        elif line.strip():
            name = ""
    return fields


def check_header(path: Path) -> dict[str, str]:
    """The DEP-3 header, refused when a required field is absent or empty."""
    fields = parse_header(path)
    missing = [name for name in REQUIRED_FIELDS if not fields.get(name)]
    if missing:
        raise PatchError(f"patches/{path.name} lacks the DEP-3 field {', '.join(missing)}: fill it in above the diff")
    return fields


def parse_patch(path: Path) -> list[FileChange]:
    """The files that a unified diff changes; paths carry one leading component (`a/`, `b/`), as git's do."""
    lines = [line.removesuffix("\n") for line in read_lines(path)]
    changes: list[FileChange] = []
    i = 0
    while i < len(lines):
        if not (lines[i].startswith("--- ") and i + 1 < len(lines) and lines[i + 1].startswith("+++ ")):
            i += 1
            continue
        old, new = lines[i][4:].split("\t")[0], lines[i + 1][4:].split("\t")[0]
        i += 2
        hunks: list[Hunk] = []
        while i < len(lines) and lines[i].startswith("@@"):
            hunk, i = _parse_hunk(path, lines, i)
            hunks.append(hunk)
        if not hunks:
            raise PatchError(f"patches/{path.name}:{i + 1}: no hunk for {new}: regenerate the patch")
        creates, deletes = old == "/dev/null", new == "/dev/null"
        changes.append(FileChange(_strip(path, old if deletes else new), creates, deletes, tuple(hunks)))
    if not changes:
        raise PatchError(f"patches/{path.name} holds no diff: regenerate the patch")
    return changes


def _parse_hunk(path: Path, lines: list[str], i: int) -> tuple[Hunk, int]:
    """One hunk, its body checked against the counts in its `@@` line."""
    match = _HUNK.match(lines[i])
    if not match:
        raise PatchError(f"patches/{path.name}:{i + 1}: malformed hunk header: regenerate the patch")
    start, first = int(match[1]), i
    left = [int(match[2] or 1), int(match[4] or 1)]
    before: list[str] = []
    after: list[str] = []
    i += 1
    while i < len(lines) and (any(left) or lines[i] == _NO_NEWLINE):
        mark, text = lines[i][:1], lines[i][1:] + "\n"
        if lines[i] == _NO_NEWLINE:
            for side, wanted in ((before, " -"), (after, " +")):
                if lines[i - 1][:1] in wanted:
                    side[-1] = side[-1].removesuffix("\n")
        elif mark in (" ", "-", "+", ""):
            if mark != "+":
                before.append(text)
                left[0] -= 1
            if mark != "-":
                after.append(text)
                left[1] -= 1
        else:
            break
        i += 1
    if any(left):
        raise PatchError(f"patches/{path.name}:{first + 1}: hunk body and its counts differ: regenerate the patch")
    return Hunk(start, first + 1, tuple(before), tuple(after)), i


def _strip(path: Path, name: str) -> str:
    parts = name.split("/")[1:]
    if not parts or any(part in ("", ".", "..") for part in parts):
        raise PatchError(f"patches/{path.name}: unsafe path {name!r}: write a/... and b/... paths")
    return "/".join(parts)


def apply_patch(path: Path, tree: Path) -> None:
    """Change `tree` as the patch says; every line must be exactly where the patch has it."""
    check_header(path)
    for change in parse_patch(path):
        target = tree / change.path
        if change.creates == target.exists():
            state = "exists already" if change.creates else "does not exist"
            raise PatchError(f"patches/{path.name} does not apply: {change.path} {state}: refresh or drop the patch")
        old = [] if change.creates else read_lines(target)
        new = _apply_hunks(path, change, old)
        if change.deletes:
            if new:
                raise PatchError(f"patches/{path.name} deletes {change.path} but leaves lines: regenerate the patch")
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(new), encoding="utf-8", newline="")


def _apply_hunks(path: Path, change: FileChange, old: list[str]) -> list[str]:
    new: list[str] = []
    done = 0
    for hunk in change.hunks:
        begin = hunk.old_start - 1 if hunk.before else hunk.old_start
        end = begin + len(hunk.before)
        if begin < done or tuple(old[begin:end]) != hunk.before:
            raise PatchError(
                f"patches/{path.name} does not apply: hunk at its line {hunk.line} does not match "
                f"{change.path}:{hunk.old_start} (no fuzz, no offset): refresh the patch against this source"
            )
        new += old[done:begin]
        new += hunk.after
        done = end
    return new + old[done:]


def apply_series(folder: Path, tree: Path, *, seam: bool = True, until: str = "") -> list[Path]:
    """Apply the series to `tree`, in order, through `until` if that is given; returns the patches applied."""
    patches = read_series(folder, seam=seam)
    names = [path.name for path in patches]
    if until and until not in names:
        raise PatchError(f"patches/series does not name {until}: give one of its entries")
    patches = patches[: names.index(until) + 1] if until else patches
    for path in patches:
        apply_patch(path, tree)
    return patches
