"""Images as files: decoded whole and checked."""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TiffImageFile

from medvid.errors import DataError

_FORMATS = ("PNG", "TIFF", "BMP", "JPEG", "GIF")
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_UNSIGNED, _SIGNED = 1, 2
"""A TIFF's sample formats."""
_GRAY = {"1", "L", "LA", "La"}
_COLOUR = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"}
_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601, as in Pillow and OpenCV


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded file.

    Args:
        image: turned upright by its EXIF orientation.
        orientation: the EXIF orientation, 1 to 8; 1: stored upright.
        bits: per pixel and channel in the file; Pillow spreads 2 and 4 bits of gray over 0 to 255.
        lossy: whether its values are approximate: a JPEG, or a TIFF with JPEG compression.
    """

    image: Image.Image
    orientation: int
    bits: int
    lossy: bool


def open_picture(path: Path, case: str) -> Picture:
    """Decode a file to its end.

    Args:
        path: the file.
        case: the case that the error names.

    Raises:
        DataError: the file is missing, damaged, not a PNG, TIFF, BMP, JPEG or GIF image, or has several pages or
            frames, 16 bits per colour, or gray values that Pillow misreads.
    """
    try:
        # Not by name: Pillow 13 maps such files into memory, and garbles a TIFF that is turned by 90 degrees.
        with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
            pages = getattr(image, "n_frames", 1) if image.format in {"TIFF", "PNG", "GIF"} else 1
            orientation = image.getexif().get(_ORIENTATION, 1)  # before loading, which turns a TIFF
            bits, white_is_zero, sign = _bits(image, path), _white_is_zero(image), _sign(image)
            image.load()
            upright = ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise DataError(f"case {case}: {path} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(
            f"case {case}: {path} ({path.stat().st_size} bytes) is not a PNG, TIFF, BMP, JPEG or GIF image that can be "
            "read",
            hint="download or convert it again; 16-bit and 32-bit images are read only if gray",
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise DataError(f"case {case}: {path} cannot be read: {error}", hint="download or convert it again") from error
    if pages > 1:
        raise DataError(f"case {case}: {path} has {pages} pages", hint="store each image in its own file")
    if bits > 8 and len(image.getbands()) > 1:
        raise DataError(
            f"case {case}: {path} has 16 bits per colour, of which Pillow reads 8",
            hint="convert it to 8 bits per colour, or to 16-bit gray",
        )
    if (sign == _SIGNED and bits == 8) or (sign == _UNSIGNED and bits == 32 and np.asarray(image).min() < 0):
        raise DataError(
            f"case {case}: {path} has {'signed' if bits == 8 else 'unsigned'} values of {bits} bits, which Pillow "
            "misreads",
            hint="convert it to 16 bits",
        )
    if white_is_zero and bits > 8:
        upright = _inverted(upright, bits, path, case)
    lossy = image.format in {"JPEG", "MPO"} or image.info.get("compression") == "jpeg"
    return Picture(upright, orientation if orientation in range(1, 9) else 1, bits, lossy)


def read_image(path: Path, case: str) -> np.ndarray:
    """Read an image in its own bit depth, turned upright by its EXIF orientation; see `pixels`."""
    return pixels(open_picture(path, case), path, case)


def pixels(picture: Picture, path: Path, case: str) -> np.ndarray:
    """The pixels of an image.

    Args:
        picture: decoded.
        path: its file, for errors.
        case: the case that the error names.

    Returns:
        (H, W) gray, or (H, W, 3) red, green and blue; uint8, uint16, int32 or float32. Transparency is dropped.

    Raises:
        DataError: its colours are for printing (CMYK), or it has values that are NaN or infinite.
    """
    image = picture.image
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in _GRAY | _COLOUR:
        return np.asarray(image.convert("L" if image.mode in _GRAY else "RGB"))
    if image.mode not in {"I", "F"}:
        raise DataError(
            f"case {case}: {path} is in {image.mode}, whose colours are not red, green and blue",
            hint="convert it to RGB with its colour profile",
        )
    array = np.asarray(image)
    if not np.isfinite(array).all():
        raise DataError(f"case {case}: {path} has values that are NaN or infinite", hint="replace them, e.g. by 0")
    return array


def has_hidden_pixels(picture: Picture) -> bool:
    """Whether any pixel is at least partly transparent."""
    image = picture.image
    return image.has_transparency_data and bool((np.asarray(image.convert("RGBA"))[..., 3] < 255).any())


def foreign_profile(picture: Picture) -> str:
    """The name of an embedded colour profile other than sRGB; empty without one."""
    profile = picture.image.info.get("icc_profile")
    if not profile:
        return ""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError):
        return "of an unknown kind"
    return "" if "srgb" in name.lower() else name


def read_head(path: Path) -> tuple[tuple[int, int], int]:
    """Height and width of the upright image, and bits per pixel and channel, from the start of a file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            turned = not isinstance(image, TiffImageFile) and image.getexif().get(_ORIENTATION, 1) in range(5, 9)
            return (width, height) if turned else (height, width), _bits(image, path)
    except (SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise OSError(str(error)) from error


def scale(array: np.ndarray, channels: int, window: tuple[float, float] | None) -> np.ndarray:
    """Scale the result of `read_image` to [0, 1] and to a number of channels.

    Args:
        array: (H, W) or (H, W, 3).
        channels: 1 or 3.
        window: values that become 0 and 1; None: 0 and the largest of an 8-bit or 16-bit type.

    Returns:
        (channels, H, W) float32.

    Raises:
        ValueError: the array has 32 bits, and no window is given.
    """
    if window is None and array.dtype.itemsize > 2:
        raise ValueError("has 32 bits per pixel, and nothing says which value is white")
    low, high = window or (0, np.iinfo(array.dtype).max)
    scaled = ((array.astype(np.float32) - low) / (high - low)).clip(0, 1)
    if scaled.ndim == 2:
        return np.repeat(scaled[None], channels, axis=0)
    return np.moveaxis(scaled, 2, 0) if channels == 3 else (scaled @ _LUMINANCE)[None]


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels (H, W, ...) upright by an EXIF orientation (1 to 8)."""
    turned = array.swapaxes(0, 1) if orientation >= 5 else array
    if orientation in {2, 3, 6, 7}:
        turned = turned[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        turned = turned[::-1]
    return turned


def turn_back(array: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `turn`."""
    return turn(array, {6: 8, 8: 6}.get(orientation, orientation))


def _bits(image: Image.Image, path: Path) -> int:
    """Bits per pixel and channel in the file."""
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(BITSPERSAMPLE, (1,))))
    if image.mode == "1":
        return 1
    with path.open("rb") as file:
        head = file.read(25)  # signature, length and type of the first chunk, width, height, bit depth
    return head[24] if head.startswith(_PNG) else 8


def _white_is_zero(image: Image.Image) -> bool:
    return isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0


def _sign(image: Image.Image) -> int:
    """The sample format of a TIFF, which says whether its values are signed; 0 for other files."""
    return int(image.tag_v2.get(SAMPLEFORMAT, (_UNSIGNED,))[0]) if isinstance(image, TiffImageFile) else 0


def _inverted(image: Image.Image, bits: int, path: Path, case: str) -> Image.Image:
    """Refuse a TIFF whose 0 is white, which Pillow inverts up to 8 bits only."""
    if not image.mode.startswith("I;16"):
        raise DataError(f"case {case}: {path} stores white as 0 in {bits} bits", hint="convert it to black as 0")
    return Image.fromarray((2**bits - 1 - np.asarray(image)).astype(np.uint16))
