"""Every kind of fault: its name, what is done, and how a lane does it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import damage
import evaluator_faults
import preparation_faults
import storage_faults
import trainer_faults
import trio_faults
from lane import Lane


@dataclass(frozen=True)
class Kind:
    """`what`: for the table; `wanted`: how often it is to be injected in all; `inject`: does it for all of a lane."""

    what: str
    wanted: int
    inject: Callable[[Lane], None]


def _signals(strike: Callable, where: str, *, as_user: bool | None = None) -> dict[str, Kind]:
    return {
        f"{name}-{where.split()[-1]}": Kind(
            f"{name} to the trainer, {where}",
            10,
            lambda lane, name=name: lane.strike_trainers(partial(strike, name), as_user=as_user),
        )
        for name in trainer_faults.SIGNALS
    }


KINDS: dict[str, Kind] = {
    "kill-trainer": Kind(
        "SIGKILL of the trainer at a random moment", 450, lambda lane: lane.strike_trainers(trainer_faults.kill)
    ),
    "kill-trainer-in-save": Kind(
        "SIGKILL of the trainer while it writes a checkpoint",
        50,
        lambda lane: lane.strike_trainers(trainer_faults.kill_in_save),
    ),
    "kill-evaluator": Kind(
        "SIGKILL of the evaluator at a random moment",
        100,
        lambda lane: evaluator_faults.strike_evaluators(lane, "SIGKILL"),
    ),
    "kill-all": Kind(
        "SIGKILL of `up`, trainer, evaluator and TensorBoard at one moment",
        100,
        lambda lane: trio_faults.strike_trios(lane, "kill-all"),
    ),
    "kill-supervisor": Kind(
        "SIGKILL of `up` alone, which is started again at once",
        20,
        lambda lane: trio_faults.strike_trios(lane, "kill-supervisor"),
    ),
    "stop-up": Kind("SIGTERM, SIGINT or SIGHUP to `up`", 20, lambda lane: trio_faults.strike_trios(lane, "stop-up")),
    **_signals(trainer_faults.signal_in_import, "during import", as_user=True),
    **_signals(trainer_faults.signal_in_trace, "during trace"),
    **_signals(trainer_faults.signal_in_step, "in a step"),
    **_signals(trainer_faults.signal_in_save, "in a save"),
    **_signals(trainer_faults.signal_twice, "twice"),
    **{
        f"{name}-evaluate": Kind(f"{name} to the evaluator", 10, partial(evaluator_faults.strike_evaluators, name=name))
        for name in trainer_faults.SIGNALS
    },
    **{
        f"{name}-prepare".replace("SIGKILL", "kill"): Kind(
            f"{name} to `prepare`, which is started again",
            20,
            partial(preparation_faults.strike_preparations, name=name),
        )
        for name in ("SIGKILL", *trainer_faults.SIGNALS)
    },
    "clock": Kind(
        "the clock set ahead or back, then SIGTERM",
        10,
        lambda lane: lane.strike_trainers(trainer_faults.jump_clock, as_user=False),
    ),
    **{
        f"disk-{way}-{name}": Kind(f"a disk that is {way} under the {name}", 10, partial(harm, way=way))
        for way in ("full", "read-only")
        for name, harm in (("trainer", storage_faults.harm_trainers), ("evaluator", storage_faults.harm_evaluators))
    },
    **{
        name: Kind(f"while stopped: {harm.what}", 5, partial(damage.damage_run, damage=harm))
        for name, harm in damage.DAMAGES.items()
    },
    "two-trainers": Kind(
        "a second trainer on the same run", 10, lambda lane: lane.strike_trainers(trainer_faults.second_trainer)
    ),
}
