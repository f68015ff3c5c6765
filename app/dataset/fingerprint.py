"""Whether a data set is still what it was."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.dataset.image_index import root_of, walk
from app.raster_image import image_suffixes

LAYOUT = 4
"""To be raised when the same data set makes other records than before."""


def take(source: Path, arguments: Mapping[str, Any], without: Path) -> tuple[str, str]:
    """The fingerprint and the state of `source` under `arguments`, as SHA-256 in hex.

    The fingerprint covers the contents of annotations and the names and sizes of images: it is the same for
    a copy elsewhere. The state adds every file's time of change, so that an image edited in place is
    noticed. The folder `without` is left out: records may be written into the set's own folder.
    """
    start = json.dumps([LAYOUT, dict(arguments)], sort_keys=True).encode()
    contents, state = hashlib.sha256(start), hashlib.sha256(start)
    root = root_of(source)
    if source.is_file():
        contents.update(source.name.encode())
    # Paths as text: pathlib's methods would take longer than all the rest.
    above, left_out = os.path.join(root, ""), os.path.join(without, "")
    for path in walk(root):
        if str(path).startswith(left_out):
            continue
        status = os.stat(path)
        line = f"{os.fsencode(str(path).removeprefix(above)).hex()} {status.st_size}\n".encode()
        contents.update(line)
        state.update(line + str(status.st_mtime_ns).encode())
        if path.suffix.lower() not in image_suffixes():
            with open(path, "rb") as file:
                contents.update(hashlib.file_digest(file, "sha256").digest())
    return contents.hexdigest(), state.hexdigest()
