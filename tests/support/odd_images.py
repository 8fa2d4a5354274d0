"""Image files of unusual kinds. Each shows a dark bar at the left of a lighter ground, or cannot be read."""

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

PNG, JPEG, GIF, WEBP = "image/png", "image/jpeg", "image/gif", "image/webp"


@dataclass(frozen=True)
class Odd:
    """A file that can be read, and what must be seen of it."""

    data: bytes
    ground: int = 255
    ink: int = 0
    ink_at: tuple[int, int] = (10, 15)
    size: tuple[int, int] = (64, 32)
    # Of the file for an API.
    media_type: str = PNG
    # Whether that file is the data itself.
    kept: bool = False
    # The largest error of a lossy file.
    lossy: int = 0


def bar(mode: str, ground: Any, ink: Any) -> Image.Image:
    image = Image.new(mode, (64, 32), ground)
    ImageDraw.Draw(image).rectangle((4, 8, 20, 23), fill=ink)
    return image


def bars(dtype: Any, ground: float, ink: float) -> np.ndarray[Any, Any]:
    values = np.full((32, 64), ground, dtype)
    values[8:24, 4:21] = ink
    return values


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, color: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG file of any depth and color type, from its unfiltered rows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0))
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", head, *chunks, chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")]
    )


def png16(color: int, channels: int, *chunks: bytes) -> bytes:
    """16 bits per channel, with 40000 and 10000 in each; an alpha channel is opaque."""
    values = np.repeat(bars(np.uint16, 40000, 10000)[..., None], channels, 2)
    if channels in (2, 4):
        values[..., -1] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png((64, 32), 16, color, rows, *chunks)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def clear() -> dict[str, Odd]:
    """Black on clear, in all the ways in which a file can be transparent."""
    rgba = bar("RGBA", (0, 0, 0, 0), (0, 0, 0, 255))
    palette = rgba.quantize(8)
    corner = palette.getpixel((0, 0))
    alphas = bytes(0 if index == corner else 255 for index in range(8))
    nibbles = bars(np.uint8, 5, 0)
    rows = b"".join(b"\0" + (row[::2] << 4 | row[1::2]).tobytes() for row in nibbles)
    half = bar("RGBA", (0, 0, 0, 128), (0, 0, 0, 255))
    return {
        "rgba_clear.png": Odd(saved(rgba, "PNG")),
        "half_clear.png": Odd(saved(half, "PNG"), ground=127),
        "la_clear.png": Odd(saved(bar("LA", (0, 0), (0, 255)), "PNG")),
        "palette_clear.png": Odd(saved(palette, "PNG", transparency=corner)),
        "palette_bytes.png": Odd(saved(palette, "PNG", transparency=alphas)),
        "gray_clear.png": Odd(saved(bar("L", 80, 0), "PNG", transparency=80)),
        "rgb_clear.png": Odd(saved(bar("RGB", (9, 9, 9), (0, 0, 0)), "PNG", transparency=(9, 9, 9))),
        "one_bit_clear.png": Odd(saved(bar("1", 1, 0), "PNG", transparency=1)),
        "gray4_clear.png": Odd(png((64, 32), 4, 0, rows, chunk(b"tRNS", b"\0\5"))),
        "gray16_clear.png": Odd(png16(0, 1, chunk(b"tRNS", struct.pack(">H", 40000))), ink=39),
        "rgb16_clear.png": Odd(png16(2, 3, chunk(b"tRNS", struct.pack(">HHH", *[40000] * 3))), ink=39),
        "clear.gif": Odd(saved(palette, "GIF", transparency=corner)),
        "clear.webp": Odd(saved(rgba, "WEBP", lossless=True)),
        "clear.tif": Odd(saved(rgba, "TIFF")),
    }


def deep() -> dict[str, Odd]:
    """More than 8 bits per channel."""

    def tiff(values: np.ndarray[Any, Any]) -> bytes:
        return saved(Image.fromarray(values), "TIFF")

    gray = bars(np.uint16, 40000, 10000)
    return {
        "gray16.png": Odd(saved(Image.fromarray(gray), "PNG"), 156, 39),
        "rgb16.png": Odd(png16(2, 3), 156, 39),
        "la16.png": Odd(png16(4, 2), 156, 39),
        "rgba16.png": Odd(png16(6, 4), 156, 39),
        "gray16.tif": Odd(tiff(gray), 156, 39),
        "gray12.tif": Odd(tiff(gray // 16), 156, 39),
        "gray8_of_16.tif": Odd(tiff(gray // 256), 156, 39),
        "gray32.tif": Odd(tiff(gray.astype(np.int32)), 156, 39),
        "gray16.pgm": Odd(b"P5 64 32 65535\n" + gray.astype(">u2").tobytes(), 156, 39),
        "gray16.jp2": Odd(saved(Image.fromarray(gray), "JPEG2000"), 156, 39),
        "float.tif": Odd(tiff(bars(np.float32, 1, 0.25)), 255, 64),
    }


def turned() -> dict[str, Odd]:
    """Images that lie or are mirrored, with the tag that says so."""
    lying: dict[str, Any] = {"size": (32, 64)}
    expected: dict[int, dict[str, Any]] = {
        2: {"ink_at": (52, 15)},
        3: {"ink_at": (52, 15)},
        4: {},
        5: lying | {"ink_at": (15, 10)},
        6: lying | {"ink_at": (15, 10)},
        7: lying | {"ink_at": (15, 52)},
        8: lying | {"ink_at": (15, 52)},
    }
    plain, files = bar("RGB", "white", "black"), {}
    for number, seen in expected.items():
        files[f"exif{number}.jpg"] = Odd(saved(plain, "JPEG", quality=95, exif=exif(number)), **seen, lossy=3)
        files[f"exif{number}.png"] = Odd(saved(plain, "PNG", exif=exif(number)), **seen)
        files[f"exif{number}.webp"] = Odd(saved(plain, "WEBP", lossless=True, exif=exif(number)), **seen)
        files[f"exif{number}.tif"] = Odd(saved(plain, "TIFF", tiffinfo={0x0112: number}), **seen)
    return files


def as_stored() -> dict[str, Odd]:
    """Files that an API gets unchanged, whatever their names."""
    plain = bar("RGB", "white", "black")
    jpeg = saved(plain, "JPEG", quality=95)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    upright = saved(plain, "JPEG", quality=95, exif=exif(1))
    broken_tags = saved(plain, "JPEG", quality=95, exif=b"Exif\0\0no tags at all")
    return {
        "plain.png": Odd(saved(plain, "PNG"), kept=True),
        "png_named.jpg": Odd(saved(plain, "PNG"), kept=True),
        "one_bit.png": Odd(saved(plain.convert("1"), "PNG"), kept=True),
        "palette.png": Odd(saved(plain.quantize(4), "PNG"), kept=True),
        "opaque.png": Odd(saved(plain.convert("RGBA"), "PNG"), kept=True),
        "profile.png": Odd(saved(plain, "PNG", icc_profile=profile), kept=True),
        "plain.jpg": Odd(jpeg, media_type=JPEG, kept=True, lossy=3),
        "jpeg_named.png": Odd(jpeg, media_type=JPEG, kept=True, lossy=3),
        "gray.jfif": Odd(saved(plain.convert("L"), "JPEG"), media_type=JPEG, kept=True, lossy=3),
        "upright.jpg": Odd(upright, media_type=JPEG, kept=True, lossy=3),
        "broken_tags.jpg": Odd(broken_tags, media_type=JPEG, kept=True, lossy=3),
        "plain.gif": Odd(saved(plain, "GIF"), media_type=GIF, kept=True),
        "plain.webp": Odd(saved(plain, "WEBP", lossless=True), media_type=WEBP, kept=True),
    }


def converted() -> dict[str, Odd]:
    """Animations, and files that no API accepts or that other programs show in other colors."""
    plain, other = bar("RGB", "white", "black"), bar("RGB", "black", "white")
    frames: dict[str, Any] = {"save_all": True, "append_images": [other]}
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    in_lab = ImageCms.profileToProfile(plain, srgb, lab, outputMode="LAB")
    assert in_lab is not None
    return {
        "frames.gif": Odd(saved(plain, "GIF", **frames)),
        "frames.png": Odd(saved(plain, "PNG", **frames)),
        "frames.webp": Odd(saved(plain, "WEBP", lossless=True, **frames)),
        "pages.tif": Odd(saved(plain, "TIFF", **frames)),
        "stereo.mpo": Odd(saved(plain, "MPO", quality=95, **frames), lossy=3),
        "cmyk.jpg": Odd(saved(plain.convert("CMYK"), "JPEG", quality=95), lossy=3),
        "cmyk.tif": Odd(saved(plain.convert("CMYK"), "TIFF")),
        "ycbcr.tif": Odd(saved(plain.convert("YCbCr"), "TIFF")),
        "lab.tif": Odd(saved(in_lab, "TIFF"), lossy=3),
        "plain.bmp": Odd(saved(plain, "BMP")),
        "plain.tif": Odd(saved(plain, "TIFF", compression="tiff_lzw")),
        "plain.ppm": Odd(saved(plain, "PPM")),
        "plain.jp2": Odd(saved(plain, "JPEG2000")),
        "plain.avif": Odd(saved(plain, "AVIF", quality=95), lossy=6),
    }


@cache
def readable() -> dict[str, Odd]:
    return clear() | deep() | turned() | as_stored() | converted()


@cache
def unreadable() -> Mapping[str, tuple[bytes, str]]:
    """Files that cannot be read, each with a part of the message."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "a" * 5_000_000, zip=True)

    def large(side: int) -> bytes:
        return png((side, side), 1, 0, b"\0" * (side * (side // 8 + 1)))

    return {
        "cut.png": (saved(photo, "PNG")[:3000], "truncated"),
        "cut.jpg": (saved(photo, "JPEG")[:1500], "truncated"),
        "cut.webp": (saved(photo, "WEBP")[:900], "not a readable image"),
        "cut.gif": (saved(photo, "GIF")[:900], "not a readable image"),
        "cut.tif": (saved(photo, "TIFF")[:900], "not a readable image"),
        "head.png": (saved(photo, "PNG")[:20], "not a readable image"),
        "empty.png": (b"", "0 bytes"),
        "page.png": (b"<html><body>not here</body></html>", "a web page"),
        "page2.png": (b"\xef\xbb\xbf\r\n<!DOCTYPE html><html></html>", "a web page"),
        "drawing.png": (b'<?xml version="1.0"?><svg/>', "text with tags"),
        "pointer.png": (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "git lfs pull",
        ),
        "error.png": (b'{"error": "not found"}', "22 bytes in none of the formats"),
        "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "none of the formats"),
        "bomb.png": (large(13500), "more than 89,478,485 pixels"),
        "large.png": (large(10000), "more than 89,478,485 pixels"),
        "big_text_chunk.png": (saved(photo, "PNG", pnginfo=text), "MAX_TEXT_CHUNK"),
        "negative.tif": (saved(Image.fromarray(bars(np.int32, 9, -1)), "TIFF"), "gray values from -1 to 9"),
        "hdr.tif": (saved(Image.fromarray(bars(np.float32, 7.5, 0)), "TIFF"), "gray values from 0 to 7.5"),
        "nan.tif": (saved(Image.fromarray(bars(np.float32, np.nan, 0)), "TIFF"), "gray values from nan"),
    }
