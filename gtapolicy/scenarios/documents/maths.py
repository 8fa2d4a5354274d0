"""Mathematics on paper, chalkboard and whiteboard: equations to solve and functions to plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from gtapolicy.dataset.dialogs import Step
from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.handwriting import write_math
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios.draft import Draft, made, math_ocr

HEADINGS = ("Homework", "Exercise", "Question", "Problem", "Quiz", "Revision", "Task")
FUNCTIONS = (
    ("{a}x^2 - {b}x + {c}", "{a}*x**2 - {b}*x + {c}"),
    (r"{a}\sin({b}x) + {c}", "{a}*np.sin({b}*x) + {c}"),
    (r"\frac{{{a}}}{{x^2 + {b}}} - {c}", "{a}/(x**2 + {b}) - {c}"),
    ("x^3 - {a}x^2 + {b}x - {c}", "x**3 - {a}*x**2 + {b}*x - {c}"),
    (r"{a}e^{{-x^2/{b}}} + {c}", "{a}*np.exp(-x**2/{b}) + {c}"),
    (r"\sqrt{{{a}x^2 + {b}}} - {c}", "np.sqrt({a}*x**2 + {b}) - {c}"),
    (r"{a}\cos(\frac{{x}}{{{b}}}) - {c}x", "{a}*np.cos(x/{b}) - {c}*x"),
    (r"{a}|x - {b}| - {c}", "{a}*np.abs(x - {b}) - {c}"),
)
"""As LaTeX and as numpy."""


def sheet(rng: Random, lines: Sequence[str]) -> CameraView:
    """Lines of mathematics, written on whatever is at hand."""
    kind = rng.choice(("squared", "lined", "plain", "torn", "chalk", "whiteboard", "sticky"))
    size: float = rng.choice((34, 38, 42))
    face = rng.choice(("stix", "cm", "stix", "dejavuserif"))
    ink = {"chalk": "#f3f1e8", "whiteboard": rng.choice(("#14427f", "#1b6b3a", "#a3241f"))}.get(
        kind, rng.choice(("#1c2f6e", "#23252b", "#20366f", "#5a1f2b"))
    )
    width, gap = (320 if kind == "sticky" else rng.randint(380, 450)), 2.3 * size
    seeds = [rng.getrandbits(32) for _ in lines]
    blank = Canvas(width, 10)
    widest = max(write_math(blank, 0, 0, f"${line}$", size, ink, face, 0).x2 for line in lines)
    size *= min(1, (width - 64) / widest)
    height = round(110 + gap * len(lines) + rng.choice((20, 40, 90)) + (40 if kind == "sticky" else 0))
    canvas = _surface(rng, kind, width, height)
    heading = f"{rng.choice(HEADINGS)}~{rng.randint(1, 40)}"
    title = write_math(
        canvas, rng.uniform(28, 40), 14, rf"$\mathit{{{heading}}}$", 24, ink, face, rng.getrandbits(32)
    )
    if rng.random() < 0.6:
        canvas.line([(title.x1 + 8, title.y2 - 3), (title.x2 - 4, title.y2 - rng.uniform(1, 6))], ink, 1.6)
    y = 66.0
    for line, seed in zip(lines, seeds, strict=True):
        box = write_math(
            canvas, rng.uniform(22, max(23, width - 42 - widest)), y, f"${line}$", size, ink, face, seed
        )
        y += gap
    if kind in ("squared", "lined", "plain", "torn") and rng.random() < 0.5:
        _coffee_ring(canvas, rng, box.y2)
    if kind not in ("sticky", "chalk"):
        _scribble(canvas, rng, max(y, box.y2 - 8), ink)
    ground = (
        rng.choice(("plaster", "concrete", "brick")) if kind in ("chalk", "whiteboard") else rng.choice(DESKS)
    )
    return tilted_view(canvas, ground, rng)


def _coffee_ring(canvas: Canvas, rng: Random, low: float) -> None:
    x, y, r = rng.uniform(0.5, 1) * canvas.width, low + rng.uniform(30, 70), rng.uniform(44, 58)
    for _ in range(4):
        start, more = rng.uniform(0, 360), rng.uniform(0, 3)
        ring = Box(x - r - more, y - r - more, x + r + more, y + r + more)
        canvas.arc(ring, start, start + rng.uniform(150, 330), "#8a5a2c2c", rng.uniform(2, 6))


def _scribble(canvas: Canvas, rng: Random, y: float, ink: str) -> None:
    """A wavy line at the end, as one draws it while thinking."""
    x, long = rng.uniform(40, 0.5 * canvas.width), rng.uniform(60, 130)
    high, pace = rng.uniform(3, 6), rng.uniform(0.25, 0.4)
    points = [(x + t, y + 12 + high * math.sin(pace * t) + 0.03 * t) for t in range(0, round(long), 3)]
    canvas.line(points, ink, 1.8)


def _surface(rng: Random, kind: str, width: int, height: int) -> Canvas:
    grounds = {
        "chalk": ("#2c4a3e", "#30343a", "#27403a"),
        "whiteboard": ("#f4f6f6",),
        "sticky": ("#fbe98a", "#f9c6d3", "#bfe3f5", "#cdeeb4"),
    }
    canvas = Canvas(width, height, rng.choice(grounds.get(kind, ("#fbfaf4", "#f8f4e6", "#fdfdfb"))))
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
            start, top, long = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(30, 150)
            wiped = [(start, top), (start + long, top + rng.uniform(-14, 14))]
            canvas.line(wiped, "#ffffff0e", rng.uniform(6, 22))
        canvas.rect(0, 0, width - 1, height - 1, None, "#8a6239", 9)
    elif kind == "whiteboard":
        canvas.rect(0, 0, width - 1, height - 1, None, "#aab2b8", 8)
    return canvas


def equation(rng: Random, paths: tuple[str, ...]) -> Draft:
    """A linear or quadratic equation with whole roots."""
    if rng.random() < 0.5:
        a, root, b = rng.randint(2, 9), rng.randint(-12, 12), rng.randint(1, 30)
        c = rng.randint(2, 9)
        while c == a:
            c = rng.randint(2, 9)
        right = a * root + b - c * root
        latex = f"{a}x + {b} = {c}x {_signed(right)}"
        left, rhs, answer = f"{a}*x + {b}", f"{c}*x {_signed(right)}", f"[{root}]"
    else:
        low, high = sorted(rng.sample([n for n in range(-9, 10) if n], 2))
        b, c = -(low + high), low * high
        middle = f"{_signed(b)}x " if abs(b) > 1 else {1: "+ x ", -1: "- x ", 0: ""}[b]
        latex = f"x^2 {middle}{_signed(c)} = 0"
        left, rhs, answer = f"x**2 {f'{_signed(b)}*x ' if b else ''}{_signed(c)}", "0", f"[{low}, {high}]"
    query = rng.choice(
        (
            "Which values of x satisfy what is written here?",
            "My daughter is stuck on this one. What does x have to be?",
            "Solve this for x, please.",
            "Someone left this on the board. What's the answer for x?",
            "Can you check my homework? I need all solutions for x.",
        )
    )
    command = f"x = symbols('x')\nprint(solve(Eq({left}, {rhs}), x))"
    return _solved(rng, query, paths[0], [latex], command, answer)


def system(rng: Random, paths: tuple[str, ...]) -> Draft:
    x, y = rng.randint(-9, 12), rng.randint(-9, 12)
    (a, b), (c, d) = rng.sample([(p, q) for p in range(1, 8) for q in range(-6, 7) if abs(q) > 1], 2)
    if a * d == b * c:
        d += 1 if d > 0 else -1
    rows = [(a, b, a * x + b * y), (c, d, c * x + d * y)]
    latex = [f"{p if p > 1 else ''}x {_signed(q)}y = {r}" for p, q, r in rows]
    first, second = (
        f"Eq({p if p > 1 else ''}{'*' if p > 1 else ''}x {_signed(q)}*y, {r})" for p, q, r in rows
    )
    query = rng.choice(
        (
            "Find the x and y that make both lines true.",
            "Two unknowns, two lines: what are they?",
            "Where do the two lines described here cross?",
            "I need x and y from this note.",
        )
    )
    command = f"x, y = symbols('x y')\nprint(solve([{first}, {second}], [x, y]))"
    return _solved(rng, query, paths[0], latex, command, f"{{x: {x}, y: {y}}}")


def derivative(rng: Random, paths: tuple[str, ...]) -> Draft:
    a, b, c, n = rng.randint(2, 9), rng.randint(2, 14), rng.randint(1, 20), rng.choice((3, 4, 5))
    latex = f"f(x) = {a}x^{n} - {b}x^2 + {c}"
    body = f"{a}*x**{n} - {b}*x**2 + {c}"
    if rng.random() < 0.5:
        at = rng.randint(1, 5)
        query = rng.choice(
            (
                f"How steep is this function at x = {at}?",
                f"What slope does the curve given here have where x equals {at}?",
            )
        )
        command = f"x = symbols('x')\nprint(diff({body}, x).subs(x, {at}))"
        answer = str(a * n * at ** (n - 1) - 2 * b * at)
    else:
        query = rng.choice(("Differentiate what's on the sheet.", "I need the derivative of this function."))
        command = f"x = symbols('x')\nprint(diff({body}, x))"
        answer = f"{a * n}*x**{n - 1} - {2 * b}*x"
    return _solved(rng, query, paths[0], [latex], command, answer)


def integral(rng: Random, paths: tuple[str, ...]) -> Draft:
    a, b, low = 3 * rng.randint(1, 5), 2 * rng.randint(1, 9), rng.randint(0, 3)
    high = low + rng.randint(1, 4)
    latex = rf"\int_{{{low}}}^{{{high}}} ({a}x^2 + {b}x)\, dx"
    answer = a // 3 * (high**3 - low**3) + b // 2 * (high**2 - low**2)
    query = rng.choice(
        (
            "What number does this come to?",
            "Evaluate the expression in the picture.",
            "I can't integrate. What is the value of this?",
        )
    )
    command = f"x = symbols('x')\nprint(integrate({a}*x**2 + {b}*x, (x, {low}, {high})))"
    return _solved(rng, query, paths[0], [latex], command, str(answer))


def fraction(rng: Random, paths: tuple[str, ...]) -> Draft:
    a, c, root = rng.randint(2, 8), rng.randint(2, 9), rng.randint(2, 15)
    b = -(a * root) % c + c
    right = (a * root + b) // c
    latex = rf"\frac{{{a}x + {b}}}{{{c}}} = {right}"
    query = rng.choice(
        ("What's x?", "Please find the unknown in this fraction.", "Which x makes this correct?")
    )
    command = f"x = symbols('x')\nprint(solve(Eq(({a}*x + {b})/{c}, {right}), x))"
    return _solved(rng, query, paths[0], [latex], command, f"[{root}]")


def plotted(rng: Random, paths: tuple[str, ...]) -> Draft:
    latex, code = rng.choice(FUNCTIONS)
    numbers = {name: rng.randint(2, 9) for name in "abc"}
    low, high = -rng.randint(2, 12), rng.randint(2, 12)
    colour = rng.choice(("red", "green", "blue", "orange", "purple"))
    query = rng.choice(
        (
            f"Show me the graph of this function from {low} to {high}, as a {colour} line.",
            f"I'd like to see what this looks like: draw it in {colour} for x between {low} and {high}.",
            f"Plot what I wrote down, x running from {low} to {high}. Make the curve {colour}.",
            f"Make a {colour} graph of it over the interval [{low}, {high}].",
        )
    )
    written = f"f(x) = {latex.format(**numbers)}"
    command = (
        "import numpy as np\nimport matplotlib.pyplot as plt\n"
        f"x = np.linspace({low}, {high}, 400)\n"
        f"plt.plot(x, {code.format(**numbers)}, color='{colour}')\nplt.show()"
    )
    shot = sheet(rng, [written])
    origins = {"command": "the function that MathOCR read; range and colour from the query"}
    drawn = Step("Plot", {"command": command}, made(paths[0]), origins=origins)
    return Draft(query, (shot,), (math_ocr(paths[0], [written]), drawn))


def _solved(rng: Random, query: str, path: str, latex: Sequence[str], command: str, answer: str) -> Draft:
    code = f"from sympy import *\n{command}"
    solve = Step(
        "Solver", {"command": code}, answer, origins={"command": "the mathematics that MathOCR read"}
    )
    return Draft(query, (sheet(rng, latex),), (math_ocr(path, latex), solve))


def _signed(number: int) -> str:
    """With its sign apart, as a term that follows others."""
    return f"{'-' if number < 0 else '+'} {abs(number)}"
