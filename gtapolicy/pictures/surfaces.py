"""Textures of the surfaces below or behind documents: wood, stone, cloth and walls, generated from noise."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from gtapolicy.pictures.mistakes import Named
from harness.files import store

_STORED = store.read_toml(Path(__file__).with_name("surfaces.toml"), dict[str, Any])
DESKS, WALLS, SURFACES = _STORED["desks"], _STORED["walls"], Named(_STORED["colors"])


def surface_texture(name: str, width: int, height: int, noise: np.random.Generator) -> Image.Image:
    color = np.array(ImageColor.getrgb(SURFACES[name]), dtype=np.float32)
    if name in _STORED["woods"]:
        light = _planks(width, height, noise)
    elif name in ("linen", "denim"):
        light = _weave(width, height, noise)
    elif name == "brick":
        return _bricks(color, width, height, noise)
    else:
        rough = 0.16 if name == "grass" else 0.06
        light = 1 + 0.10 * smooth_noise(width, height, 6, noise)
        light = light + rough * smooth_noise(width, height, min(width, height) // 5, noise)
    if name == "marble":
        # Veins are where the noise is close to zero.
        veins = np.abs(smooth_noise(width, height, 5, noise) + 0.25 * smooth_noise(width, height, 24, noise))
        light = light - 0.16 * np.exp(-((veins / 0.05) ** 2))
    return Image.fromarray(np.clip(color * light[..., None], 0, 255).astype(np.uint8))


def smooth_noise(width: int, height: int, cells: int, noise: np.random.Generator) -> np.ndarray:
    """Noise around 0, shape (height, width), that varies over `cells` cells across the shorter side."""
    cell = max(2, min(width, height) / cells)
    coarse = noise.normal(0, 0.5, (max(2, round(height / cell)) + 1, max(2, round(width / cell)) + 1))
    return _stretched(coarse, width, height)


def _stretched(coarse: np.ndarray, width: int, height: int) -> np.ndarray:
    image = Image.fromarray(coarse.astype(np.float32))
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC))


def _planks(width: int, height: int, noise: np.random.Generator) -> np.ndarray:
    """The brightness of three to five boards, with fibers along them and a dark gap above each."""
    light = np.ones((height, width), dtype=np.float32)
    boards = int(noise.integers(3, 6))
    edges = np.linspace(0, height, boards + 1).astype(int)
    for top, bottom in itertools.pairwise(edges):
        tall = bottom - top
        fibers = _stretched(noise.normal(0, 0.5, (tall, max(2, width // 160))), width, tall)
        rings = np.sin(9 * smooth_noise(width, tall, 2, noise) + np.linspace(0, 9, tall)[:, None])
        light[top:bottom] = noise.uniform(0.92, 1.06) + 0.07 * fibers + 0.045 * rings
        light[top : top + 3] *= 0.62
    return light


def _weave(width: int, height: int, noise: np.random.Generator) -> np.ndarray:
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    # The horizontal threads pass alternately over and under the vertical ones.
    threads = 0.06 * np.sin(x * 1.1) + 0.06 * np.sin(y * 1.1 + (x // 6) * np.pi)
    light = 1 + threads + 0.07 * smooth_noise(width, height, 5, noise)
    return np.array(light + noise.normal(0, 0.02, (height, width)))


def _bricks(color: np.ndarray, width: int, height: int, noise: np.random.Generator) -> Image.Image:
    tall, wide, joint = 44, 120, 6
    y, x = np.mgrid[0:height, 0:width]
    row = y // tall
    # Every other row is shifted by half a brick.
    shifted = x + (row % 2) * wide // 2
    tone = noise.uniform(0.8, 1.15, (height // tall + 1, (width + wide) // wide + 2))
    light = tone[row, shifted // wide] + 0.08 * smooth_noise(width, height, 60, noise)
    pixels = color * light[..., None]
    mortar = (y % tall < joint) | (shifted % wide < joint)
    mortar_light = 1 + 0.1 * smooth_noise(width, height, 60, noise)
    # Mortar is gray, whatever the color of the bricks.
    pixels[mortar] = np.array([188, 180, 168]) * mortar_light[mortar][:, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
