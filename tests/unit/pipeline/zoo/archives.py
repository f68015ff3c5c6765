"""Archives in the layout of the model zoo, and others."""

import io
import random
import tarfile
from pathlib import Path

NAME = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
FILES = {
    "pipeline.config": b"model { ssd { num_classes: 90 } }\n",
    "checkpoint/checkpoint": b'model_checkpoint_path: "ckpt-0"\n',
    "checkpoint/ckpt-0.index": b"index",
    "checkpoint/ckpt-0.data-00000-of-00001": random.Random(0).randbytes(20_000),
    "saved_model/saved_model.pb": b"graph",
}

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"", **fields) -> Member:
    """An entry of an archive; `fields` are TarInfo's."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def pack(*members: Member) -> bytes:
    """A .tar.gz of the entries."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def packed_model(name: str = NAME, **changed: bytes) -> bytes:
    """A model's archive in the zoo's layout; `changed`: other contents by the file's stem."""
    return pack(
        member(name, type=tarfile.DIRTYPE, mode=0o700),
        *(member(f"{name}/{path}", changed.get(Path(path).stem, data), mode=0o600) for path, data in FILES.items()),
    )
