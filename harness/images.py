"""Turns the bytes of a stored image into what every model, page and importer sees of it.

`pixels` returns upright RGB pixels of 8 bits on white; `encoded` returns a file with these pixels, to send or
to store. Color profiles are ignored, as transformers ignores them.
"""

import io
import logging
import warnings
from pathlib import PurePosixPath
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from harness.errors import UserError

# Pillow reads more formats, but runs other programs for some of them.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# The media types that every API accepts, with the suffixes of their files.
SUFFIXES = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
}
# What is sometimes stored in place of an image, by its first bytes.
NOT_IMAGES = {
    b"version https://git-lfs": "a git-lfs pointer; get the file itself with `git lfs pull`",
    b"<": "a web page or another text with tags; get the image itself",
}
# A TIFF file of 16 bits does not say how many of them a camera or scanner used.
DEPTHS = (8, 10, 12, 14, 16)
# How to turn an image upright, by its EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow logs some of the errors that it also raises. Without a handler they would appear in the terminal.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def pixels(data: bytes, name: str) -> Image.Image:
    """The image as RGB; of an animation, the first frame. UserError begins with the name."""
    return _read(data, name)[0]


def encoded(data: bytes, name: str) -> tuple[str, bytes]:
    """The media type and the bytes of a file with the pixels of `pixels`. UserError begins with the name.

    A PNG, JPEG, GIF or WebP file that shows these pixels wherever it is opened is returned unchanged. Any
    other image becomes a PNG.
    """
    image, media_type = _read(data, name)
    if media_type is not None:
        return media_type, data
    file = io.BytesIO()
    image.save(file, "PNG")
    return "image/png", file.getvalue()


def stored(data: bytes, path: str, source: str) -> tuple[str, bytes]:
    """The path and the bytes under which an importer stores an image. UserError begins with the source.

    Both are unchanged if the image needs no change and its suffix fits its content.
    """
    media_type, data = encoded(data, source)
    return file_name(path, media_type), data


def file_name(path: str, media_type: str) -> str:
    """The path with a suffix of this media type; unchanged if it has one."""
    pure, suffixes = PurePosixPath(path), SUFFIXES[media_type]
    return path if pure.suffix.lower() in suffixes else str(pure.with_suffix(suffixes[0]))


def _read(data: bytes, name: str) -> tuple[Image.Image, str | None]:
    """The pixels, and the media type of the data if they show these pixels wherever they are opened."""
    start = data[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, what in NOT_IMAGES.items():
        if start.startswith(beginning):
            raise UserError(f"{name}: not a readable image: {what}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _shown(image, data)
    except UnidentifiedImageError:
        reason = f"{len(data)} bytes in none of the formats {', '.join(FORMATS)}"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        reason = f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    # Pillow's decoders raise almost any exception for a broken file.
    except Exception as error:
        reason = str(error) or type(error).__name__
    raise UserError(f"{name}: not a readable image: {reason}")


def _shown(image: Image.Image, data: bytes) -> tuple[Image.Image, str | None]:
    image.load()
    shown = _eight_bits(image) if image.mode.startswith(("I", "F")) else image
    depth = data[24] if image.format == "PNG" else 8
    if depth != 1 and isinstance(key := image.info.get("transparency"), int | tuple) and image.mode != "P":
        shown.info["transparency"] = _key_color(key, depth)
    layer = shown.convert("RGBA") if shown.has_transparency_data else None
    clear = layer is not None and layer.getchannel("A").getextrema() != (255, 255)
    if layer is not None:
        shown = Image.new("RGBA", shown.size, "white")
        shown.alpha_composite(layer)
    turn = _turn(image)
    shown = shown.convert("RGB") if turn is None else shown.convert("RGB").transpose(turn)
    # A new file must not repeat the color profile or the tags of the old one.
    shown.info.clear()
    as_stored = not clear and turn is None and depth <= 8 and image.mode not in ("CMYK", "I;16")
    media_type = f"image/{(image.format or '').lower()}"
    if as_stored and media_type in SUFFIXES and getattr(image, "n_frames", 1) == 1:
        return shown, media_type
    return shown, None


def _eight_bits(image: Image.Image) -> Image.Image:
    """A gray image of integers or floats as one of 8 bits. Raises ValueError for an unknown range."""
    # Imported here because importing numpy takes longer than most commands that read an image.
    import numpy as np

    values = np.asarray(image)
    low, high = values.min(), values.max()
    top = 1 if image.mode == "F" else 2 ** DEPTHS[-1] - 1
    # Also true for NaN.
    if not (low >= 0 and high <= top):
        raise ValueError(f"gray values from {low:g} to {high:g}, expected values from 0 to {top}")
    if image.mode == "F":
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    depth = next(d for d in DEPTHS if high < 2**d) if image.format == "TIFF" else DEPTHS[-1]
    return Image.fromarray((values >> (depth - 8)).astype(np.uint8))


def _key_color(key: Any, depth: int) -> Any:
    """A PNG's transparent color in 8 bits, as its pixels. Pillow keeps it as it is stored."""
    if isinstance(key, tuple):
        return tuple(_key_color(value, depth) for value in key)
    return key >> 8 if depth == 16 else key * 255 // (2**depth - 1)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    # Tags that cannot be read say nothing; Pillow raises almost any exception for them.
    except Exception:
        return None
