"""`zoo list`: the models of the TF2 model zoo."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from app.pipeline.zoo import catalogue, local, store
from app.settings import Settings
from app.terminal_table import as_text


@dataclass(frozen=True)
class Listing:
    """The zoo's models, as `catalogue.Model`s with the folder of those that are here."""

    models: list[dict[str, Any]]

    def __str__(self) -> str:
        return _table(self.models)


def run(settings: Settings) -> Listing:
    """Every model of the zoo, with its folder if it is here."""
    folder = local.zoo_folder(settings.models_dir, settings.zoo_dir)
    rows = []
    for model in catalogue.models():
        here = store.stored(model, folder)
        rows.append(dataclasses.asdict(model) | {"folder": str(here.folder) if here else None})
    return Listing(rows)


def _table(models: list[dict[str, Any]]) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns: tuple[tuple[str, Literal["left", "right"]], ...] = (
        ("name", "left"), ("input", "right"), ("COCO mAP", "right"), ("ms", "right"),
        ("architecture", "left"), ("outputs", "left"), ("here", "left"),
    )  # fmt: skip
    for head, side in columns:
        table.add_column(head, justify=side, no_wrap=True)
    for row in models:
        maps = "/".join("-" if value is None else f"{value:.1f}" for value in (row["box_map"], row["other_map"]))
        cells = (
            row["name"], row["input"], maps.removesuffix("/-"), str(row["speed_ms"]), row["kind"],
            row["outputs"].replace(" ", ", "), "yes" if row["folder"] else "",
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    return as_text(table)
