"""Images of summaries as JPEG, at the size at which they are shown."""

import io

import numpy as np
from PIL import Image

from app.raster_image import open_image

SHOWN = 640
"""Pixels of the longer side of a training image: TensorBoard's cards are narrower."""
FLAT_COLOURS = 2048
"""A drawing has fewer colours; a photograph has more, and is a tenth as JPEG."""
PIXELS_A_COLOUR = 4
"""Of a small drawing; a small photograph has fewer pixels of a colour."""
PNG_LARGER = 2
"""Times the size of JPEG that a drawing may take as PNG, which keeps its letters sharp."""
QUALITY = 85


def encode_image(image: Image.Image) -> bytes:
    """JPEG of what looks like a photograph, PNG of a drawing that is not much larger as that."""
    jpeg = io.BytesIO()
    image.convert("RGB").save(jpeg, "JPEG", quality=QUALITY)
    if image.getcolors(min(FLAT_COLOURS, image.width * image.height // PIXELS_A_COLOUR)):
        png = io.BytesIO()
        image.save(png, "PNG", compress_level=6)
        if png.tell() <= jpeg.tell() * PNG_LARGER:
            return png.getvalue()
    return jpeg.getvalue()


def shrink_to_shown(image: Image.Image) -> Image.Image:
    """`image`, smaller where its longer side is above `SHOWN` pixels."""
    scale = SHOWN / max(image.size)
    if scale >= 1:
        return image
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX)


def recode_image(encoded: bytes) -> bytes:
    """The same image in fewer bytes, as it was where that is not to be had: drawings, transparency, 16 bits, JPEG."""
    try:
        image = open_image(encoded)
        if image.format not in ("PNG", "BMP") or image.mode not in ("RGB", "RGBA", "L"):
            return encoded
        if image.mode == "RGBA":
            if np.asarray(image.getchannel("A")).min() < 255:
                return encoded
            image = image.convert("RGB")
        made = encode_image(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return encoded
    return made if len(made) < len(encoded) else encoded
