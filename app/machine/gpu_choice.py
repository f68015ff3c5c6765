"""Which GPUs a process is to train on, as CUDA is told."""

import os
import re
from collections.abc import Callable, MutableMapping, Sequence

from app.errors import SettingsError
from app.machine.gpus import Gpu, output, read_gpus
from app.settings import flag

NONE = "-1"
"""What hides all GPUs from CUDA."""
COUNT = re.compile(r"count=(\d+)")
MEMORY = ["nvidia-smi", "--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits"]
LIST = ["nvidia-smi", "-L"]
Ask = Callable[[list[str]], str | None]


def choose(gpus: str, environ: MutableMapping[str, str] = os.environ, ask: Ask = output) -> None:
    """Has CUDA see the GPUs that `gpus` names, in this process and its children, by CUDA_VISIBLE_DEVICES.

    Numbers are those of nvidia-smi, by bus, which CUDA's own need not be; so GPUs become UUIDs. `count=2`: those
    with the least memory in use. A process that is kept from all GPUs stays so.
    Raises SettingsError for a GPU that is not there, and where CUDA_VISIBLE_DEVICES chooses others.
    """
    before = environ.get("CUDA_VISIBLE_DEVICES")
    if not gpus or before in ("", NONE) or environ.get("NVIDIA_VISIBLE_DEVICES") == "void":
        return
    chosen = NONE if gpus == "none" else ",".join(_uuids(gpus, ask))
    if before not in (None, chosen):
        raise SettingsError(
            "both say which GPUs to train on", where=f"CUDA_VISIBLE_DEVICES={before}, gpus={gpus}", remedy=_remedy()
        )
    environ["CUDA_VISIBLE_DEVICES"] = chosen


def _uuids(text: str, ask: Ask) -> list[str]:
    there = read_gpus(ask)
    if match := COUNT.fullmatch(text):
        return _least_used(int(match[1]), there, ask)
    words = [word.strip() for word in text.split(",") if word.strip()]
    mig = [word for word in words if word.startswith("MIG-")]
    if mig and len(words) > 1:
        raise _refusal("CUDA gives a process one MIG device and nothing beside it", text)
    if mig:
        if mig[0] not in (ask(LIST) or ""):
            raise _refusal("nvidia-smi -L has no such MIG device", mig[0])
        return mig
    return list(dict.fromkeys(_find(word, there) for word in words))


def _find(word: str, there: Sequence[Gpu]) -> str:
    for gpu in there:
        if word == str(gpu.index) or (word.startswith("GPU-") and gpu.uuid.startswith(word)):
            return gpu.uuid
    names = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in there) or "none, by nvidia-smi"
    raise _refusal(f"there is no such GPU; there are: {names}", word)


def _least_used(count: int, there: Sequence[Gpu], ask: Ask) -> list[str]:
    if not 0 < count <= len(there):
        raise _refusal(f"this machine has {len(there)} GPUs, by nvidia-smi", f"count={count}")
    cells = [line.split(",") for line in (ask(MEMORY) or "").splitlines()]
    used = {uuid.strip(): int(mib) for uuid, mib in (row for row in cells if len(row) == 2) if mib.strip().isdigit()}
    return [gpu.uuid for gpu in sorted(there, key=lambda gpu: (used.get(gpu.uuid, 0), gpu.index))[:count]]


def _refusal(what: str, where: str) -> SettingsError:
    return SettingsError(what, where=f"gpus={where}", remedy=_remedy())


def _remedy() -> str:
    return f"{flag('gpus', '0,2')}, GPU-..., MIG-..., count=2, none; nvidia-smi -L lists them"
