"""Masks and probabilities as files of images."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from medvid.data.images.palette import png_palette
from medvid.files import make_folder, write_bytes


def write_mask(path: Path, labels: np.ndarray, count: int) -> None:
    """Write label ids as a PNG with a palette, complete or not at all.

    The palette's indices are the ids. Two labels are black and white, so that the mask is also a binary one.

    Args:
        path: the file.
        labels: (H, W) uint8 ids.
        count: number of labels.
    """
    image = Image.fromarray(labels)
    image.putpalette(png_palette(count))
    content = BytesIO()
    image.save(content, "PNG")
    make_folder(path.parent)
    write_bytes(path, content.getvalue())


def write_pages(path: Path, pages: np.ndarray) -> None:
    """Write gray images (N, H, W) uint8 as the pages of a compressed TIFF, complete or not at all."""
    first, *others = map(Image.fromarray, pages)
    content = BytesIO()
    first.save(content, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")
    make_folder(path.parent)
    write_bytes(path, content.getvalue())
