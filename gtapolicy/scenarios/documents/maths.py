"""Handwritten mathematics on paper, chalkboards and whiteboards: equations to solve and functions to plot."""

import math
from collections.abc import Sequence
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.handwriting import write_math
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios.calls import math_ocr, plot, solve
from gtapolicy.scenarios.data import load, phrase
from gtapolicy.scenarios.draft import Draft

HEADINGS = ("Homework", "Exercise", "Question", "Problem", "Quiz", "Revision", "Task")
FUNCTIONS = load("documents/documents.toml", "functions", list[tuple[str, str]])
PAPERS = ("squared", "lined", "plain", "torn")


def sheet(rng: Random, lines: Sequence[str]) -> CameraView:
    """Lines of LaTeX below a heading, written on a random background."""
    kind = rng.choice((*PAPERS, "chalk", "whiteboard", "sticky"))
    size: float = rng.choice((34, 38, 42))
    face = rng.choice(("stix", "cm", "stix", "dejavuserif"))
    marker = rng.choice(("#14427f", "#1b6b3a", "#a3241f"))
    pen = rng.choice(("#1c2f6e", "#23252b", "#20366f", "#5a1f2b"))
    ink = {"chalk": "#f3f1e8", "whiteboard": marker}.get(kind, pen)
    width, step = (320 if kind == "sticky" else rng.randint(380, 450)), 2.3 * size
    seeds = [rng.getrandbits(32) for _ in lines]
    # Lines are first measured on a scrap canvas. If one is too wide, all are written smaller.
    scrap = Canvas(width, 10)
    widest = max(write_math(scrap, 0, 0, f"${line}$", size, ink, face, 0).x2 for line in lines)
    size *= min(1, (width - 64) / widest)
    height = round(110 + step * len(lines) + rng.choice((20, 40, 90)) + (40 if kind == "sticky" else 0))
    canvas = _background(rng, kind, width, height)
    heading = rf"$\mathit{{{rng.choice(HEADINGS)}~{rng.randint(1, 40)}}}$"
    title = write_math(canvas, rng.uniform(28, 40), 14, heading, 24, ink, face, rng.getrandbits(32))
    if rng.random() < 0.6:
        canvas.line([(title.x1 + 8, title.y2 - 3), (title.x2 - 4, title.y2 - rng.uniform(1, 6))], ink, 1.6)
    y = 66.0
    for line, seed in zip(lines, seeds, strict=True):
        x = rng.uniform(22, max(23, width - 42 - widest))
        box = write_math(canvas, x, y, f"${line}$", size, ink, face, seed)
        y += step
    if kind in PAPERS and rng.random() < 0.5:
        _coffee_ring(canvas, rng, box.y2)
    if kind not in ("sticky", "chalk"):
        _scribble(canvas, rng, max(y, box.y2 - 8), ink)
    surfaces = ("plaster", "concrete", "brick") if kind in ("chalk", "whiteboard") else DESKS
    return tilted_view(canvas, rng.choice(surfaces), rng)


def _coffee_ring(canvas: Canvas, rng: Random, top: float) -> None:
    x, y, r = rng.uniform(0.5, 1) * canvas.width, top + rng.uniform(30, 70), rng.uniform(44, 58)
    for _ in range(4):
        start, more = rng.uniform(0, 360), rng.uniform(0, 3)
        ring = Box(x - r - more, y - r - more, x + r + more, y + r + more)
        canvas.arc(ring, start, start + rng.uniform(150, 330), "#8a5a2c2c", rng.uniform(2, 6))


def _scribble(canvas: Canvas, rng: Random, y: float, ink: str) -> None:
    """A wavy line below the mathematics."""
    x, length = rng.uniform(40, 0.5 * canvas.width), rng.uniform(60, 130)
    amplitude, frequency = rng.uniform(3, 6), rng.uniform(0.25, 0.4)
    steps = range(0, round(length), 3)
    points = [(x + t, y + 12 + amplitude * math.sin(frequency * t) + 0.03 * t) for t in steps]
    canvas.line(points, ink, 1.8)


def _background(rng: Random, kind: str, width: int, height: int) -> Canvas:
    colors = {
        "chalk": ("#2c4a3e", "#30343a", "#27403a"),
        "whiteboard": ("#f4f6f6",),
        "sticky": ("#fbe98a", "#f9c6d3", "#bfe3f5", "#cdeeb4"),
    }
    canvas = Canvas(width, height, rng.choice(colors.get(kind, ("#fbfaf4", "#f8f4e6", "#fdfdfb"))))
    if kind == "squared":
        for x in range(0, width, 18):
            canvas.line([(x, 0), (x, height)], "#cfdcec")
        for y in range(0, height, 18):
            canvas.line([(0, y), (width, y)], "#cfdcec")
    elif kind == "lined":
        for y in range(40, height, 28):
            canvas.line([(0, y), (width, y)], "#bcd0e6")
        canvas.line([(28, 0), (28, height)], "#e2a0a0", 1.5)
    elif kind == "torn":
        for x in range(14, width, 24):
            canvas.disc(x, 9, 5, "#00000070")
        canvas.line([(0, 20), (width, 20)], "#e5dcc6", 2)
    elif kind == "chalk":
        for _ in range(26):
            start, top, length = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(30, 150)
            wiped = [(start, top), (start + length, top + rng.uniform(-14, 14))]
            canvas.line(wiped, "#ffffff0e", rng.uniform(6, 22))
        canvas.rect(0, 0, width - 1, height - 1, "", outline="#8a6239", outline_width=9)
    elif kind == "whiteboard":
        canvas.rect(0, 0, width - 1, height - 1, "", outline="#aab2b8", outline_width=8)
    return canvas


def equation(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family maths_solve: a linear or quadratic equation with integer roots."""
    if rng.random() < 0.5:
        a, root, b = rng.randint(2, 9), rng.randint(-12, 12), rng.randint(1, 30)
        c = rng.randint(2, 9)
        while c == a:
            c = rng.randint(2, 9)
        right = a * root + b - c * root
        latex = f"{a}x + {b} = {c}x {_signed(right)}"
        sides, answer = f"{a}*x + {b}, {c}*x {_signed(right)}", f"[{root}]"
    else:
        low, high = sorted(rng.sample([n for n in range(-9, 10) if n], 2))
        b, c = -(low + high), low * high
        # 1x is written as x, and 0x is omitted.
        middle = f"{_signed(b)}x " if abs(b) > 1 else {1: "+ x ", -1: "- x ", 0: ""}[b]
        latex = f"x^2 {middle}{_signed(c)} = 0"
        sides, answer = f"x**2 {f'{_signed(b)}*x ' if b else ''}{_signed(c)}, 0", f"[{low}, {high}]"
    command = f"x = symbols('x')\nprint(solve(Eq({sides}), x))"
    return _read_and_solve(rng, phrase(rng, "equation"), paths[0], [latex], command, answer)


def system(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family maths_solve: two linear equations in x and y."""
    x, y = rng.randint(-9, 12), rng.randint(-9, 12)
    (a, b), (c, d) = rng.sample([(p, q) for p in range(1, 8) for q in range(-6, 7) if abs(q) > 1], 2)
    # Parallel lines would have no single solution.
    if a * d == b * c:
        d += 1 if d > 0 else -1
    rows = [(a, b, a * x + b * y), (c, d, c * x + d * y)]
    latex = [f"{p if p > 1 else ''}x {_signed(q)}y = {r}" for p, q, r in rows]
    equations = [f"Eq({f'{p}*' if p > 1 else ''}x {_signed(q)}*y, {r})" for p, q, r in rows]
    command = f"x, y = symbols('x y')\nprint(solve([{', '.join(equations)}], [x, y]))"
    return _read_and_solve(rng, phrase(rng, "system"), paths[0], latex, command, f"{{x: {x}, y: {y}}}")


def derivative(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family maths_solve: the derivative of a polynomial, or its value at a point."""
    a, b, c, n = rng.randint(2, 9), rng.randint(2, 14), rng.randint(1, 20), rng.choice((3, 4, 5))
    latex = f"f(x) = {a}x^{n} - {b}x^2 + {c}"
    result = f"diff({a}*x**{n} - {b}*x**2 + {c}, x)"
    if rng.random() < 0.5:
        at = rng.randint(1, 5)
        query = phrase(rng, "slope", at=at)
        result += f".subs(x, {at})"
        answer = str(a * n * at ** (n - 1) - 2 * b * at)
    else:
        query = phrase(rng, "derivative")
        answer = f"{a * n}*x**{n - 1} - {2 * b}*x"
    return _read_and_solve(rng, query, paths[0], [latex], f"x = symbols('x')\nprint({result})", answer)


def integral(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family maths_solve: a definite integral with an integer value."""
    a, b, low = 3 * rng.randint(1, 5), 2 * rng.randint(1, 9), rng.randint(0, 3)
    high = low + rng.randint(1, 4)
    latex = rf"\int_{{{low}}}^{{{high}}} ({a}x^2 + {b}x)\, dx"
    answer = a // 3 * (high**3 - low**3) + b // 2 * (high**2 - low**2)
    command = f"x = symbols('x')\nprint(integrate({a}*x**2 + {b}*x, (x, {low}, {high})))"
    return _read_and_solve(rng, phrase(rng, "integral"), paths[0], [latex], command, str(answer))


def fraction(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family maths_solve: a linear equation with a fraction."""
    a, c, root = rng.randint(2, 8), rng.randint(2, 9), rng.randint(2, 15)
    # The b in 1..c for which c divides a * root + b.
    b = -(a * root) % c + c
    right = (a * root + b) // c
    latex = rf"\frac{{{a}x + {b}}}{{{c}}} = {right}"
    command = f"x = symbols('x')\nprint(solve(Eq(({a}*x + {b})/{c}, {right}), x))"
    return _read_and_solve(rng, phrase(rng, "fraction"), paths[0], [latex], command, f"[{root}]")


def plot_function(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family maths_plot: the graph of a function over an interval."""
    latex, code = rng.choice(FUNCTIONS)
    numbers = {name: rng.randint(2, 9) for name in "abc"}
    low, high = -rng.randint(2, 12), rng.randint(2, 12)
    color = rng.choice(("red", "green", "blue", "orange", "purple"))
    query = phrase(rng, "plot_function", low=low, high=high, color=color)
    written = f"f(x) = {latex.format(**numbers)}"
    command = (
        "import numpy as np\nimport matplotlib.pyplot as plt\n"
        f"x = np.linspace({low}, {high}, 400)\n"
        f"plt.plot(x, {code.format(**numbers)}, color='{color}')\nplt.show()"
    )
    origin = "the function that MathOCR read; range and color from the query"
    steps = (
        math_ocr(paths[0], [written], "plot-function"),
        plot(paths[0], command, origin, "plot-function"),
    )
    return Draft(query, (sheet(rng, [written]),), steps)


def _read_and_solve(
    rng: Random, query: str, path: str, latex: Sequence[str], command: str, answer: str
) -> Draft:
    """MathOCR, then Solver."""
    return Draft(query, (sheet(rng, latex),), (math_ocr(path, latex, "solve"), solve(command, answer)))


def _signed(number: int) -> str:
    """The number as a later term of a sum: the sign, a space, the absolute value."""
    return f"{'-' if number < 0 else '+'} {abs(number)}"
