"""Paths of the host where compose.yaml's containers see others."""

import os
from collections.abc import Mapping
from pathlib import Path

from app.environment import COMPOSE

SEEN = ("/data", "/models", "/results")


def hint(path: Path | str, use: str, environ: Mapping[str, str] = os.environ) -> str:
    """What to do about a path that is not there, in a container of compose.yaml; empty elsewhere.

    `use`: what is written before the path where it is given, as `DETBOX_DATASET=`.
    """
    if COMPOSE not in environ:
        return ""
    path = Path("/") / path
    if str(path).startswith(SEEN):
        return "here /data is the folder of this machine that DETBOX_DATA_DIR in .env names, ./data unless it does"
    seen = "containers see one folder of this machine, as /data"
    return f"{seen}: DETBOX_DATA_DIR={path.parent} in .env, then {use}data/{path.name}"
