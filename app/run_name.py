"""Names of runs: a folder, a model of TensorFlow Serving, a value in compose files."""

import hashlib
import re
import unicodedata

VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = {"serving", "zoo"}
LONGEST = 80
"""Characters that are kept of a name that has to be changed."""
DIGITS = 6
"""Hexadecimal ones, of the whole name's hash."""
FALLBACK = "dataset"


def is_run_name(name: str) -> bool:
    """Whether a run may be called `name`."""
    return bool(VALID.fullmatch(name)) and name not in RESERVED


def derive_run_name(folder: str) -> str:
    """The run's name for a data set in a folder of that name: itself where it may be, always the same for one folder.

    Accents go, blanks and what may not be in a name become `-`. A hash at its end tells names apart that have letters
    of other scripts, or are too long.
    """
    if is_run_name(folder):
        return folder
    # One name, whether the file system stores its letters composed (Linux) or not (macOS).
    composed = unicodedata.normalize("NFC", folder)
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", composed.replace("ß", "ss")) if not unicodedata.combining(c)
    )
    kept = re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")
    name = re.sub(r"-*([._])-*", r"\1", kept)[:LONGEST].rstrip("-._") or FALLBACK
    lost = any(c.isalnum() and not c.isascii() for c in plain) or len(kept) > LONGEST or name == FALLBACK
    if lost or name in RESERVED:
        name += "-" + hashlib.sha256(composed.encode(errors="surrogateescape")).hexdigest()[:DIGITS]
    return name
