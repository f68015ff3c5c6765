"""Where a run goes on: its newest whole checkpoint, or step 0 of one that never had any."""

import logging
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from app.checkpoint import files_of, find_prefixes
from app.errors import SettingsError
from app.humanize import list_names
from app.run.directory import CHECKPOINT_STATE, Run
from app.run.evaluations import evaluated_steps
from app.run.rollbacks import read_rollbacks
from app.run.run_end import read_done
from app.settings import flag

log = logging.getLogger(__name__)

NAMED = 5
"""Broken checkpoints named in one line."""


def refuse_lost_progress(run: Run) -> None:
    """Raises SettingsError for a run without a checkpoint whose own files say that it had one."""
    rollbacks = read_rollbacks(run)
    if run.checkpoint_steps() or (rollbacks and not rollbacks[-1].step):
        return
    done, evaluated = read_done(run), evaluated_steps(run)
    if done and done["step"]:
        trace = f"{run.done.name} says that it came to step {done['step']}"
    elif evaluated:
        trace = f"that of step {max(evaluated)} was evaluated"
    elif (run.root / CHECKPOINT_STATE).exists():
        trace = f"the file {CHECKPOINT_STATE} names one"
    elif find_prefixes(run.best):
        trace = "best/ is a copy of one"
    else:
        return
    raise SettingsError(
        f"has no checkpoint, and {trace}: training would begin anew", where=str(run.root), remedy=_remedy(run)
    )


def find_resume(run: Run, fault: Callable[[Path], str | None]) -> Path | None:
    """The newest checkpoint for which `fault(prefix)` finds nothing wrong; None for a run that has none.

    Broken ones after it are said, and moved to `broken/`: as the newest they would be kept in place of whole ones.
    Raises SettingsError if all are broken, which leaves them where they are.
    """
    broken: dict[Path, str] = {}
    for step in reversed(run.checkpoint_steps()):
        prefix = run.checkpoint(step)
        what = fault(prefix)
        if what is None:
            for passed, fault_found in broken.items():
                log.warning(
                    "checkpoint %s is broken and passed over: %s; it is kept in %s", passed, fault_found, run.broken
                )
            set_aside(run, broken)
            return prefix
        broken[prefix] = what
    if broken:
        named = list_names([f"{prefix.name} ({what})" for prefix, what in broken.items()], NAMED)
        what = "its only checkpoint is broken" if len(broken) == 1 else f"all {len(broken)} checkpoints are broken"
        raise SettingsError(f"{what}: {named}", where=str(run.root), remedy=_remedy(run, fault))
    return None


def set_aside(run: Run, prefixes: Iterable[Path]) -> None:
    """Moves checkpoints to `broken/`, where nobody goes on from them."""
    for prefix in prefixes:
        run.broken.mkdir(exist_ok=True)
        for path in reversed(files_of(prefix)):  # The index first: without it there is no checkpoint.
            if path.exists():
                os.replace(path, run.broken / path.name)


def _remedy(run: Run, fault: Callable[[Path], str | None] = lambda prefix: None) -> str:
    kept = [prefix for prefix in find_prefixes(run.best) if fault(prefix) is None]
    copy = f"cp {shlex.quote(str(kept[0]))}.* {shlex.quote(str(run.root))} goes on from best/, or " if kept else ""
    return f"{copy}bring back a copy of them, or start another run: {flag('run', 'NAME')}"
