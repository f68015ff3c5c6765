"""`zoo fetch`: a model of the TF2 model zoo on this machine."""

from dataclasses import dataclass

from app.pipeline.zoo import catalogue, local
from app.settings import Settings


@dataclass(frozen=True)
class Fetched:
    """A model of the zoo on this machine. `new`: it was not there before. `sha256_of`: archive or folder."""

    name: str
    folder: str
    new: bool
    url: str = ""
    bytes: int = 0
    sha256: str = ""
    sha256_of: str = ""
    time: str = ""

    def __str__(self) -> str:
        text = f"{self.folder}{'' if self.new else ' (already there)'}"
        if self.sha256:
            text += (
                f"\n{self.bytes / 1e6:.1f} MB from {self.url}\nsha256 of the {self.sha256_of} {self.sha256}, "
                "recorded at the first fetch: upstream publishes none to compare with"
            )
        return text


def run(settings: Settings) -> Fetched:
    """Brings the model that `model` names under `zoo_dir`; does nothing if it is there."""
    model = catalogue.get(settings.model)
    stored = local.fetch_model(model, local.zoo_folder(settings.models_dir, settings.zoo_dir), settings.zoo_mirror)
    record = stored.record
    return Fetched(
        name=model.name,
        folder=str(stored.folder),
        new=stored.is_new,
        url=record.get("url", ""),
        bytes=record.get("bytes", 0),
        sha256=record.get("sha256", ""),
        sha256_of=record.get("sha256_of", ""),
        time=record.get("time", ""),
    )
