"""Where the copying of a run stands: `status/sync.json`."""

from dataclasses import asdict, dataclass

from app.humanize import format_time
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, count, moment, text

STATE = Schema({"where": text, "writer": text, "step": count, "time": moment, "failures": count, "error": text})


@dataclass(frozen=True, kw_only=True)
class CopyState:
    """`writer`: the name of this folder in manifests. `step`, `time`: of what was copied last, Unix seconds.

    `failures`: in a row, the last by `error`.
    """

    where: str = ""
    writer: str = ""
    step: int = 0
    time: float = 0.0
    failures: int = 0
    error: str = ""

    def describe(self, now: float) -> str:
        """`s3://models/wheels: step 400, 12 s ago`."""
        last = f"step {self.step}, {format_time(max(now - self.time, 0))} ago" if self.time else "nothing yet"
        failed = f"; failed {self.failures} times since: {self.error}" if self.failures else ""
        return f"{self.where}: {last}{failed}"


def read_state(run: Run, where: str = "") -> CopyState:
    """That of the run; empty for one that is not copied. `where`: as far as it is that of the copy there."""
    found = read_object(run.copy_state, STATE)
    state = CopyState(**{name: found[name] for name in CopyState.__annotations__ if name in found})
    return state if where in ("", state.where) else CopyState(where=where, writer=state.writer)


def write_state(run: Run, state: CopyState) -> None:
    """Writes it."""
    write_json(run.copy_state, asdict(state))
