"""Fits the constants of surface.glsl, so that our pictures look like Blender's of the same scenes.

    python tests/bench/fit_look.py FOLDER [--steps 4] [--write]

FOLDER is described in tests/bench/blender.py. Half of its scenes are used to fit, the other half to report.
Each step renders the scenes once more for each constant, slightly changed, and solves for the changes of all
constants that would bring the pictures closest (Levenberg-Marquardt, with less weight for large differences).
"""

import argparse
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from blender import Rendered, fitted, rendered, unfitted

from clevrpolicy.scene import gl
from clevrpolicy.scene.render import Renderer

SHADER = gl.ShaderPrograms.surface
# The constants below this line, up to the first empty one.
MARK = "// Fitted by tests/bench/fit_look.py."
CONSTANT = re.compile(r"const float (\w+) = ([-\d.]+);")
# Pictures of half the width and height are enough to fit.
SHRINK = 2
# Differences above this one, of 255, count only in proportion, and not squared.
LINEAR = 4.0
# Weight of a pixel of an object; a pixel of the ground has weight 1.
OBJECT_WEIGHT = 3.0
# Change of a constant to measure its effect, as a share of it, and the least change.
SHARE, LEAST = 0.05, 0.002


def constants(shader: str) -> dict[str, float]:
    block = shader.partition(MARK)[2].partition("\n\n")[0]
    return {name: float(value) for name, value in CONSTANT.findall(block)}


def replaced(shader: str, values: dict[str, float]) -> str:
    for name, value in values.items():
        shader = re.sub(rf"const float {name} = [-\d.]+;", f"const float {name} = {value:.4g};", shader)
    return shader


def pictures(shader: str, scenes: Sequence[Rendered]) -> Iterator[np.ndarray]:
    """Our pictures of the scenes with a shader."""
    with tempfile.TemporaryDirectory() as folder:
        gl.ShaderPrograms.surface = Path(folder) / "surface.glsl"
        gl.ShaderPrograms.surface.write_text(shader)
        with Renderer() as renderer:
            for item in scenes:
                yield renderer.render(item.scene).astype(np.float32)


def difference(shader: str, scenes: Sequence[Rendered]) -> tuple[float, float]:
    """Mean absolute difference, of 255: of all pixels, and of objects' pixels."""
    gaps = [
        np.abs(ours - item.picture).mean(axis=2)
        for ours, item in zip(pictures(shader, scenes), scenes, strict=True)
    ]
    inside = np.concatenate([gap[item.owner >= 0] for gap, item in zip(gaps, scenes, strict=True)])
    return float(np.mean(gaps)), float(inside.mean())


def improved(shader: str, scenes: Sequence[Rendered], damping: float) -> str:
    """The shader after one step."""
    values = constants(shader)
    steps = {name: max(abs(value) * SHARE, LEAST) for name, value in values.items()}
    ours = list(pictures(shader, scenes))
    slopes = []
    for name, step in steps.items():
        moved = pictures(replaced(shader, {name: values[name] + step}), scenes)
        slopes.append(
            [((other - own) / step).astype(np.float16) for other, own in zip(moved, ours, strict=True)]
        )
    size = len(values)
    normal, right = np.zeros((size, size)), np.zeros(size)
    for index, (own, item) in enumerate(zip(ours, scenes, strict=True)):
        gap = item.picture - own
        weight = 1.0 / np.maximum(np.abs(gap), LINEAR)
        weight[item.owner >= 0] *= OBJECT_WEIGHT
        jacobian = np.stack([slope[index].ravel().astype(np.float32) for slope in slopes])
        normal += (jacobian * weight.ravel()) @ jacobian.T
        right += (jacobian * weight.ravel()) @ gap.ravel()
    # A constant without an effect would make the matrix singular.
    diagonal = np.diag(normal) + 1e-6 * np.diag(normal).max()
    change = np.linalg.solve(normal + damping * np.diag(diagonal), right)
    return replaced(shader, {name: values[name] + delta for name, delta in zip(values, change, strict=True)})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="write the constants into surface.glsl")
    options = parser.parse_args()
    scenes = rendered(options.folder, SHRINK)
    to_fit, others = fitted(scenes), unfitted(scenes)
    shader, damping = SHADER.read_text(), 0.01
    best = difference(shader, to_fit)
    print(f"{len(to_fit)} scenes to fit: {best[0]:.2f} of 255, inside objects {best[1]:.2f}", flush=True)
    for step in range(options.steps):
        trial = improved(shader, to_fit, damping)
        result = difference(trial, to_fit)
        better = result[0] + result[1] < best[0] + best[1]
        kept = "" if better else " (not kept)"
        print(f"step {step + 1}: {result[0]:.2f}, inside objects {result[1]:.2f}{kept}", flush=True)
        shader, best = (trial, result) if better else (shader, best)
        damping *= 0.3 if better else 10
    overall, inside = difference(shader, others)
    print(f"{len(others)} other scenes: {overall:.2f} of 255, inside objects {inside:.2f}")
    for name, value in constants(shader).items():
        print(f"    {name} = {value:.4g}")
    if options.write:
        SHADER.write_text(shader)


if __name__ == "__main__":
    main()
