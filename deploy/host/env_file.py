"""/etc/detbox/env: what Compose reads as `.env`, and four lines that are for the machine."""

import re
from collections.abc import Mapping
from pathlib import Path

from app.run_name import derive_run_name

LINE = re.compile(r"\s*(?:export\s+)?(\w+)\s*=\s*(.*?)\s*")
QUOTED = re.compile(r"""(['"])(.*)\1(?:\s+#.*)?""")


def read_env(path: Path) -> dict[str, str]:
    """Names and values; quotes around a value and comments behind it are no part of it. Nothing is put in for `$`."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        match = LINE.fullmatch(line)
        if match and not line.lstrip().startswith("#"):
            quoted = QUOTED.fullmatch(match[2])
            found[match[1]] = quoted[2] if quoted else re.sub(r"(^|\s+)#.*", "", match[2])
    return found


def run_name(env: Mapping[str, str]) -> str:
    """The run's, as detbox derives it."""
    dataset = env.get("DETBOX_DATASET", "")
    return env.get("DETBOX_RUN") or (derive_run_name(Path(dataset).name) if dataset else "sample")
