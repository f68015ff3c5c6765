"""The table of the zoo's models.

`models.csv` holds the facts of upstream's page `research/object_detection/g3doc/tf2_detection_zoo.md` (github
tensorflow/models): names, dates of the archives' folders, milliseconds an image, COCO mAP. `other_map` is the mAP of
the keypoints or masks; for one CenterNet the page gives only one of the two, which its size shows to be the keypoints'.
Left out is ExtremeNet, for which the page has no figures.
"""

import csv
import difflib
import re
from dataclasses import dataclass
from importlib import resources

from app.errors import SettingsError
from app.settings import flag

UPSTREAM = "https://download.tensorflow.org/models/object_detection/tf2"
"""The page's address, by https: upstream has no checksums, so the way is at least protected."""


@dataclass(frozen=True)
class Model:
    """A model of the zoo; `name` is its archive's."""

    title: str
    """The name as upstream's page shows it."""
    name: str
    date: str
    kind: str
    """The meta-architecture, as a pipeline.config names it: ssd, faster_rcnn, center_net."""
    input: str
    """Height x width in pixels."""
    speed_ms: int
    box_map: float | None
    """COCO mAP of the boxes, in percent."""
    other_map: float | None
    """COCO mAP of the keypoints or masks, in percent."""
    outputs: str

    @property
    def archive(self) -> str:
        return f"{self.name}.tar.gz"


def models() -> list[Model]:
    """Every model, in upstream's order."""
    text = (resources.files("app.pipeline.zoo") / "models.csv").read_text(encoding="utf-8")
    return [_model(row) for row in csv.DictReader(text.splitlines())]


def find(name: str) -> Model | None:
    """The model whose archive or title `name` is, whatever the case and the characters between words."""
    wanted = _plain(name.removesuffix(".tar.gz"))
    return next((model for model in models() if wanted in (_plain(model.name), _plain(model.title))), None)


def get(name: str) -> Model:
    """As `find`, but SettingsError with the nearest name if there is none."""
    model = find(name)
    if model is None:
        near = nearest(name)
        raise SettingsError(
            f"the zoo has no model {name!r}" if name else "no model of the zoo is named",
            remedy=f"did you mean {near}? ({flag('model')})" if near else "detbox zoo list has the names",
        )
    return model


def nearest(name: str) -> str | None:
    """The archive's name of the model that `name` was meant to be, if one is near."""
    names = {form: model.name for model in models() for form in (_plain(model.title), _plain(model.name))}
    plain = _plain(name)
    starts = [form for form in names if plain and form.startswith(plain)]
    near = starts or difflib.get_close_matches(plain, names, n=1)
    return names[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _model(row: dict[str, str]) -> Model:
    return Model(
        title=row["title"],
        name=row["name"],
        date=row["date"],
        kind=row["kind"],
        input=row["input"],
        speed_ms=int(row["speed_ms"]),
        box_map=float(row["box_map"]) if row["box_map"] else None,
        other_map=float(row["other_map"]) if row["other_map"] else None,
        outputs=row["outputs"],
    )
