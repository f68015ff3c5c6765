"""Pictures with red rectangles, which the stand-in of TensorFlow Serving finds."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def red_picture():
    """Writes a picture with a red box `ymin, xmin, ymax, xmax` in pixels; returns its path."""

    def write(path, size=(60, 40), box=(10, 20, 30, 50), **options):
        pixels = np.full((size[1], size[0], 3), 120, np.uint8)
        if box:
            pixels[box[0] : box[2], box[1] : box[3]] = (255, 0, 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        if path.suffix == ".jpg":
            options = {"quality": 100, "subsampling": 0, **options}
        image.save(path, **options)
        return path

    return write
