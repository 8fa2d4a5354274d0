"""Renders the benchmark's scenes again with this machine's driver, and compares them with its images."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.render import Renderer

bench = Path(sys.argv[1]) / "bench"
lines = (bench / "scenes.jsonl").read_text().splitlines()[:24]
differences, milliseconds = [], []
with Renderer() as renderer:
    for line in map(json.loads, lines):
        start = time.perf_counter()
        image = renderer.render(clevr_json.decode(line))
        milliseconds.append(1000 * (time.perf_counter() - start))
        stored = Image.open(bench / "images" / line["image_filename"]).convert("RGB")
        differences.append(np.abs(image.astype(float) - np.asarray(stored)).mean())
    print(
        json.dumps(
            {
                "driver": renderer.driver,
                "milliseconds_per_image": round(float(np.median(milliseconds)), 1),
                "mean_difference_of_255": round(float(np.mean(differences)), 3),
            }
        )
    )
