"""`sample`: the built-in synthetic data set."""

from pathlib import Path

from app.dataset import sample
from app.settings import Settings


def run(settings: Settings) -> str:
    """Writes the built-in data set. Returns its folder."""
    folder = Path(settings.output or "sample")
    sample.write(folder, images=settings.sample_images, seed=settings.seed)
    return str(folder)
