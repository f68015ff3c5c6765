"""A run that is prepared by a zoo's name, with a real checkpoint."""

import io
import json
import tarfile

from archives import NAME

from app.jobs import prepare
from app.settings import Settings


def test_a_run_from_the_zoo(web, test_data, tmp_path):
    """`prepare` fetches the model; the pipeline is its own, and starts from its checkpoint."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        tar.add(test_data / "pretrained" / "ssd_mobilenet_v2_fpnlite_320x320_hands", arcname=NAME)
    web.files[f"/20200711/{NAME}.tar.gz"] = file.getvalue()
    settings = Settings(
        models_dir=tmp_path, run="r", model=NAME, zoo_mirror=web.url, sample_images=20, num_train_steps=10,
        batch_size=2,
    )  # fmt: skip
    made = prepare.run(settings)
    folder = tmp_path / "zoo" / NAME
    assert made.origin == str(folder / "pipeline.config")
    text = (tmp_path / "r" / "pipeline.config").read_text()
    assert f'fine_tune_checkpoint: "{folder}/checkpoint/ckpt-0"\n' in text
    assert 'fine_tune_checkpoint_type: "detection"\n' in text and "PATH_TO_BE" not in text
    assert json.loads((folder / "zoo.json").read_text())["bytes"] == len(file.getvalue())
    prepare.run(settings)
    assert len(web.requests) == 1, "the second time the model is there"
