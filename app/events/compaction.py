"""A log in fewer bytes: to a budget or a cadence by tag, without what a resume wrote twice."""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from app import progress
from app.errors import SettingsError
from app.events.log_files import find_logs, refuse_open
from app.events.log_index import FileIndex, FolderIndex, index_folder
from app.events.log_writer import Recoder, write_folder
from app.events.plan import Cadence, plan_folders
from app.events.proof import TagProof, prove
from app.events.superseded import mark_superseded
from app.humanize import format_bytes, format_count
from app.run.files import refuse_foreign, replacing, write_json
from app.settings import flag

PROOF = "compaction.json"
SUFFIX = ".compacted"


@dataclass(frozen=True)
class Compacted:
    """What became of one path. Sizes in bytes; `damaged`: bytes that were no records."""

    path: str
    output: str
    bytes_before: int
    bytes_after: int
    files_before: int
    files_after: int
    damaged: int
    superseded: int
    warnings: list[str]
    tags: list[TagProof]

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {format_bytes(self.bytes_before)} -> {format_bytes(self.bytes_after)} in {self.output}",
            f"  {format_count(sum(tag.kept for tag in self.tags), 'value')} of "
            f"{sum(tag.values for tag in self.tags):,} kept; {self.superseded:,} were written again by a resume",
        ]
        if self.damaged:
            lines.append(f"  {format_bytes(self.damaged)} were damaged or cut short")
        lines += [f"  {warning}" for warning in self.warnings]
        return "\n".join([*lines, f"  proof by tag: {Path(self.output) / PROOF}"])


def compact(
    path: Path, output: Path | None, *, budget: int, cadences: Sequence[Cadence] = (), in_place: bool = False
) -> Compacted:
    """Compacts the event files at or below `path` into `output`, a folder that has the proof as well.

    `in_place`: they replace those at `path` instead, each by one rename, when all are complete. Raises SettingsError
    for a file that is being written, and an `output` that holds something else.
    """
    logs = find_logs(path)
    files = [file for paths in logs.values() for file in paths]
    refuse_open(files, is_replaced=in_place)
    root = path if path.is_dir() else path.parent
    target = root if in_place else (output or root.with_name(root.resolve().name + SUFFIX))
    if in_place:
        with replacing(root / f".{path.name}{SUFFIX}") as staging:
            result, written = _compact_into(path, root, logs, staging, target, budget, cadences)
            _swap(files, written, staging, root)
        shutil.rmtree(root / f".{path.name}{SUFFIX}")
    else:
        _check_output(target, root)
        with replacing(target) as staging:
            result, _ = _compact_into(path, root, logs, staging, target, budget, cadences)
    return result


def _check_output(target: Path, root: Path) -> None:
    if target.resolve() == root.resolve() or target.resolve() in root.resolve().parents:
        raise SettingsError("would replace the log itself", where=str(target), remedy=flag("in_place", "true"))
    if not (target / PROOF).is_file():
        refuse_foreign(target, lambda path: False, remedy=f"another folder: {flag('output', 'DIR')}")


def _compact_into(
    path: Path,
    root: Path,
    logs: dict[Path, list[Path]],
    staging: Path,
    target: Path,
    budget: int,
    cadences: Sequence[Cadence],
) -> tuple[Compacted, list[Path]]:
    """Writes the compacted files and the proof into `staging`; returns the files as well."""
    staging.mkdir()
    indices = _read(logs)
    for index in indices:
        mark_superseded(index)
    with closing(Recoder(indices, staging)) as recoder:
        warnings = plan_folders(indices, budget, cadences, recoder.sizes)
        written = [write_folder(index, staging / index.folder.relative_to(root), recoder) for index in indices]
    proofs = [proof for index, paths in zip(indices, written, strict=True) for proof in prove(index, paths, root)]
    files = [file for index in indices for file in index.files]
    _refuse_changed(files)
    made = [made for paths in written for made in paths]
    result = Compacted(
        path=str(path),
        output=str(target),
        bytes_before=sum(file.size for file in files),
        bytes_after=sum(file.stat().st_size for file in made),
        files_before=len(files),
        files_after=len(made),
        damaged=sum(fault.size for file in files for fault in file.faults),
        superseded=sum(proof.superseded for proof in proofs),
        warnings=warnings,
        tags=proofs,
    )
    write_json(staging / PROOF, dataclasses.asdict(result))
    return result, made


def _read(logs: dict[Path, list[Path]]) -> list[FolderIndex]:
    whole = sum(file.stat().st_size for paths in logs.values() for file in paths)
    done = 0
    with progress.shown("events", in_units_of_bytes=True) as report:

        def add(size: int) -> None:
            nonlocal done
            done += size
            report(done, whole)

        return [index_folder(folder, paths, add) for folder, paths in logs.items()]


def _refuse_changed(files: Sequence[FileIndex]) -> None:
    for file in files:
        status = file.path.stat()
        if (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
            raise SettingsError("has changed meanwhile", where=str(file.path), remedy="again when its writer has ended")


def _swap(before: Sequence[Path], written: Sequence[Path], staging: Path, root: Path) -> None:
    """Puts the compacted files in the places of the others, each by one rename, then deletes those left out."""
    made = {root / path.relative_to(staging): path for path in written}
    for place, path in made.items():
        shutil.copystat(place, path)
        os.replace(path, place)
    for path in before:
        if path not in made:
            path.unlink()
    os.replace(staging / PROOF, root / PROOF)
