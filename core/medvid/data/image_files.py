"""Images and masks as files: read whole and checked, masks written with a palette."""

import os
import struct
import tempfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medvid.data.palette import png_palette
from medvid.errors import DataError

_FORMATS = ("PNG", "TIFF", "BMP", "JPEG")
_PNG = b"\x89PNG\r\n\x1a\n"
_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601, as Pillow and OpenCV weight colours


def read_image(path: Path, case: str) -> np.ndarray:
    """Read an image in its own bit depth, turned upright as its EXIF orientation says.

    Args:
        path: the file.
        case: the case that the error names.

    Returns:
        (H, W) gray, or (H, W, 3) red, green and blue; uint8, uint16, int32 or float32. Transparency is dropped.

    Raises:
        DataError: the file is missing, damaged, no PNG, TIFF, BMP or JPEG image, has several pages, 16 bits per colour,
            or values that are NaN or infinite.
    """
    image = _open(path, case)
    if _has_deep_colours(path):
        raise DataError(
            f"case {case}: {path} has 16 bits per colour, of which Pillow reads 8",
            hint="convert it to 8 bits per colour, or to 16-bit gray",
        )
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode not in {"I", "F"}:
        return np.asarray(image.convert("L" if image.mode in {"1", "L", "LA", "La"} else "RGB"))
    array = np.asarray(image)
    if not np.isfinite(array).all():
        raise DataError(f"case {case}: {path} has values that are NaN or infinite", hint="replace them, e.g. by 0")
    return array


def scale(array: np.ndarray, channels: int, window: tuple[float, float] | None) -> np.ndarray:
    """Scale what `read_image` gave to [0, 1] and to a number of channels.

    Args:
        array: (H, W) or (H, W, 3).
        channels: 1 or 3.
        window: values that become 0 and 1; None: 0 and the largest of an 8-bit or 16-bit type.

    Returns:
        (channels, H, W) float32.

    Raises:
        ValueError: the array is of 32 bits and there is no window.
    """
    if window is None and array.dtype.itemsize > 2:
        raise ValueError("has 32 bits per pixel, of which nothing says what is white")
    low, high = window or (0, np.iinfo(array.dtype).max)
    scaled = ((array.astype(np.float32) - low) / (high - low)).clip(0, 1)
    if scaled.ndim == 2:
        return np.repeat(scaled[None], channels, axis=0)
    return np.moveaxis(scaled, 2, 0) if channels == 3 else (scaled @ _LUMINANCE)[None]


def read_mask(path: Path, case: str, labels: int, threshold: int | None) -> np.ndarray:
    """Read a mask as label ids.

    Args:
        path: the file.
        case: the case that the error names.
        labels: number of labels.
        threshold: brightest value out of 255 that is background; of a mask with a palette, all but its first colour is
            foreground. None: gray values, or palette indices, are label ids.

    Returns:
        (H, W) uint8.

    Raises:
        DataError: as `read_image`; or a value is no label id; or the mask has values, but none above the threshold.
    """
    image = _open(path, case)
    if threshold is None:
        return _label_ids(image, path, case, labels)
    if image.mode == "P":
        return (np.asarray(image) > 0).astype(np.uint8)
    gray = _gray(image)
    foreground = gray > threshold
    if gray.max() > 0 and not foreground.any():
        raise DataError(
            f"case {case}: mask {path} has values up to {gray.max():g} of 255, none above the threshold {threshold}",
            hint="set dataset.threshold: 0, or dataset.mask_values: indexed if the values are label ids",
        )
    return foreground.astype(np.uint8)


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write label ids (H, W) uint8 as a PNG with a palette, whose indices are the ids; at once or not at all."""
    image = Image.fromarray(labels)
    image.putpalette(png_palette())
    content = BytesIO()
    image.save(content, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
        try:
            file.write(content.getvalue())
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _open(path: Path, case: str) -> Image.Image:
    """Decode a file to its end."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            image.load()
            upright = ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise DataError(f"case {case}: {path} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(
            f"case {case}: {path} ({path.stat().st_size} bytes) is no PNG, TIFF, BMP or JPEG image that can be read",
            hint="download or convert it again; of 16-bit images only gray ones can be read",
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise DataError(f"case {case}: {path} cannot be read: {error}", hint="download or convert it again") from error
    if pages > 1:
        raise DataError(f"case {case}: {path} has {pages} pages", hint="store each image in a file of its own")
    return upright


def _has_deep_colours(path: Path) -> bool:
    """Whether a file is a PNG of 16 bits per colour; Pillow refuses such TIFFs itself."""
    with path.open("rb") as file:
        head = file.read(26)  # signature, length and type of the first chunk, width, height, bit depth, kind of colour
    return head.startswith(_PNG) and head[24] == 16 and head[25] != 0


def _gray(image: Image.Image) -> np.ndarray:
    """Brightness out of 255."""
    if image.mode.startswith("I;16"):
        return np.asarray(image) / 257
    return np.asarray(image if image.mode in {"I", "F"} else image.convert("L"))


def _label_ids(image: Image.Image, path: Path, case: str, labels: int) -> np.ndarray:
    values = np.asarray(image)
    if values.ndim == 3:
        gray = values[..., :1]
        if (values[..., :3] != gray).any():
            raise DataError(
                f"case {case}: mask {path} is in colours, which say no label ids",
                hint="store label ids as gray values or palette indices, or set dataset.mask_values: binary",
            )
        values = gray[..., 0]
    ids, counts = np.unique(values, return_counts=True)
    strange = (ids < 0) | (ids >= labels) | (ids != ids.astype(np.int64))
    if strange.any():
        found = ", ".join(f"{i:g} ({n} px)" for i, n in zip(ids[strange][:5], counts[strange], strict=False))
        more = f" and {strange.sum() - 5} more" if strange.sum() > 5 else ""
        raise DataError(
            f"case {case}: mask {path} has the values {found}{more}; the data set declares the labels 0..{labels - 1}",
            hint="correct the mask, name all dataset.labels, or set dataset.mask_values: binary",
        )
    return values.astype(np.uint8)
