"""The records of a set that can be read, where some can't: a damaged file is replaced by a copy without them."""

import glob
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from app.dataset import integrity, records
from app.dataset.integrity import Decode
from app.dataset.records import RecordFile
from app.errors import DatasetError
from app.humanize import format_count
from app.run.files import replacing
from app.settings import flag


@dataclass(frozen=True)
class Loss:
    """What of a record file can't be read: how many records, what is wrong with the first; how many can be.

    `offsets`: those of records that can't be decoded.
    """

    path: Path
    records: int
    what: str
    kept: int
    offsets: frozenset[int] = frozenset()


class ReadableRecords:
    """The record files of a pipeline.config's `input_path`, of whose records at most `most` may be passed over.

    `folder` is for the copies of damaged files. `paths` are what is to be read now, as `input_path`.
    """

    def __init__(self, patterns: Sequence[str], folder: Path, most: int):
        self._patterns, self._folder, self.most = list(patterns), folder, most
        self.paths = list(patterns)
        self._known: dict[Path, RecordFile] = {}
        self.losses: dict[Path, Loss] = {}
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def skipped(self) -> int:
        """Records that are passed over."""
        return sum(loss.records for loss in self.losses.values())

    def __str__(self) -> str:
        first = next(iter(self.losses.values()))
        more = f", and of {format_count(len(self.losses) - 1, 'more file')}" if len(self.losses) > 1 else ""
        count = format_count(self.skipped, "corrupt record")
        return f"{count} passed over, of {self.most} that may be: of {first.path.name}, {first.what}{more}"

    def skip(self, decode: Decode | None = None) -> bool:
        """Looks through all files and replaces the damaged ones in `paths`; whether more is lost than before.

        Contents are looked at with `decode`, else checksums alone. Raises DatasetError for more lost records than
        `most`, and where they can't be counted: without a card nobody knows what follows a broken length.
        """
        if any(integrity.REMOTE in pattern for pattern in self._patterns):
            return False
        before = self.skipped
        files = integrity.files_of(self._patterns)
        for folder, splits in integrity.splits_of(self._patterns).items():
            self._known |= {folder / file.name: file for split in splits for file in split.files or ()}
        files = sorted({*files, *self._known})
        if not files:
            raise DatasetError("no record file is there", where=", ".join(self._patterns), remedy=records.REMEDY)
        found = {path: self._look(path, decode) for path in files}
        self.losses = {path: loss for path, loss in found.items() if loss.records}
        self._check(files)
        for loss in self.losses.values():
            self._copy(loss)
        if self.losses:
            used = [self._copy_of(path) if path in self.losses else path for path in files]
            self.paths = [glob.escape(str(path)) for path in used if path.is_file()]
        return self.skipped > before

    def _check(self, files: Sequence[Path]) -> None:
        if self.skipped > self.most:
            first = next(iter(self.losses.values()))
            raise DatasetError(
                f"{first.what}; {format_count(self.skipped, 'record')} can't be read in all, {self.most} may be",
                where=str(first.path),
                remedy=f"remove that file, then {records.REMEDY}; or {flag('skip_corrupt_records')}",
            )
        if all(path in self.losses and not self.losses[path].kept for path in files):
            raise DatasetError("no record can be read", where=str(files[0].parent), remedy=records.REMEDY)

    def _look(self, path: Path, decode: Decode | None) -> Loss:
        known = self._known.get(path)
        damaged: list[str] = []
        offsets: list[int] = []
        kept = 0
        with ThreadPoolExecutor(integrity.THREADS) as pool:
            try:
                whole = records.scan(path, on_damage=lambda at, what: damaged.append(f"{what} at byte {at}"))
                for offset, _, what in integrity.decoded(whole, decode, pool):
                    if what:
                        damaged.append(f"the record at byte {offset} can't be decoded: {what}")
                        offsets.append(offset)
                    else:
                        kept += 1
            except DatasetError as error:
                if known is None:
                    what = f"{error.what}; how many records follow is not known"
                    raise DatasetError(what, where=error.where, remedy=error.remedy) from None
                damaged.append(f"{error.what}, and what follows is lost")
        lost = max(known.records - kept, len(damaged)) if known else len(damaged)
        return Loss(path, lost, damaged[0] if damaged else "records are missing", kept, frozenset(offsets))

    def _copy(self, loss: Loss) -> None:
        if not loss.kept:
            return
        with replacing(self._copy_of(loss.path)) as target, open(target, "wb") as file:
            try:
                for offset, data in records.scan(loss.path, on_damage=lambda at, what: None):
                    if offset not in loss.offsets:
                        records.append(file, data)
            except DatasetError:  # The rest, which is counted.
                pass

    def _copy_of(self, path: Path) -> Path:
        return self._folder.joinpath(*path.absolute().parts[1:])
