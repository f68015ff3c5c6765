"""The section of a report with the drawn images, each shrunk to fit into the page."""

import io
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from app.html import page
from app.html.page import Section
from app.humanize import format_count
from app.raster_image import ImageTooLarge, open_image
from app.report.run_report import DrawnImage

SIDE, QUALITY = 640, 72
BYTES_MAX = 1_700_000
"""All images together; in the page they take a third more."""
KINDS = {
    "worst": "Most false negatives and false positives",
    "best": "Fewest false negatives and false positives",
    "first": "First",
}
EACH_MAX = 12


def render_images(images: Sequence[DrawnImage]) -> Section | None:
    """Images by kind, the worst first; what would make the page too heavy is left out and counted."""
    kinds = [kind for kind in KINDS if any(image.kind == kind for image in images)]
    kinds += sorted({image.kind for image in images} - set(KINDS))
    parts, shown, room = [], 0, BYTES_MAX
    for kind in kinds:
        figures = []
        for image in [image for image in images if image.kind == kind][:EACH_MAX]:
            data = shrink_image(image.path)
            if data is None or len(data) > room:
                continue
            room -= len(data)
            figures.append(page.image(data, _caption(image)))
        shown += len(figures)
        if figures:
            heading = Markup(f"<h3>{page.escape(KINDS.get(kind, kind))}</h3>") if len(kinds) > 1 else Markup("")
            parts += [heading, page.columns(figures, narrow=True)]
    if not shown:
        return None
    note = "Held-out images with the best checkpoint's detections drawn."
    if shown < len(images):
        note += f" {len(images) - shown} more are in {images[0].path.parent.name}/."
    return Section("Images", parts, note=note)


def _caption(image: DrawnImage) -> str:
    counts = [
        format_count(count, what)
        for what, count in (("false negative", image.false_negatives), ("false positive", image.false_positives))
        if count is not None
    ]
    return " · ".join([image.name, *counts])


def shrink_image(path: Path) -> bytes | None:
    """The image as a small JPEG without its metadata, or None if it can't be read."""
    try:
        with open_image(path) as image:
            image.draft("RGB", (SIDE, SIDE))
            small = image.convert("RGB")
            small.thumbnail((SIDE, SIDE))
    except (OSError, ImageTooLarge):
        return None
    held = io.BytesIO()
    small.save(held, "JPEG", quality=QUALITY, optimize=True)
    return held.getvalue()
