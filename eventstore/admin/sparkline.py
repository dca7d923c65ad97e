"""Small charts that the server draws, without axes: a line, as Edward Tufte's sparklines, and a bar of parts."""

from collections.abc import Sequence
from itertools import groupby

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 120, 28
"""In the units of the drawing; how large it is shown, the stylesheet says."""


def sparkline(values: Sequence[float | None], label: str) -> SafeString:
    """These values from left to right, over a ground of 0. Where one is None nothing is known, and nothing is drawn.
    The label says in words what is to be seen.
    """
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = WIDTH / max(1, len(values) - 1)
    places = [
        None if value is None else (round(number * step, 1), round(HEIGHT - 1 - (HEIGHT - 3) * value / top, 1))
        for number, value in enumerate(values)
    ]
    runs = [list(run) for known, run in groupby(places, key=lambda place: place is not None) if known]
    lines = format_html_join("", '<path d="{}"/>', ((_path(run),) for run in runs))
    return format_html(
        '<svg class="sparkline" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        WIDTH,
        HEIGHT,
        label,
        lines,
    )


def bar(parts: Sequence[tuple[str, int]], label: str) -> SafeString | str:
    """How much each part is of the whole, each with a class of its own; nothing of nothing."""
    whole = sum(number for _, number in parts)
    if not whole:
        return ""
    begun, drawn = 0, []
    for name, number in parts:
        drawn.append((name, round(WIDTH * begun / whole, 2), round(WIDTH * number / whole, 2)))
        begun += number
    said = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in parts)
    return format_html(
        '<svg class="bar" viewBox="0 0 {} 8" preserveAspectRatio="none" role="img" aria-label="{}: {}">{}</svg>',
        WIDTH,
        label,
        said,
        format_html_join("", '<rect class="part part-{}" x="{}" width="{}" height="8"/>', drawn),
    )


def _path(run: Sequence[tuple[float, float] | None]) -> str:
    """A line through these places; one alone is a dash."""
    places = [place for place in run if place]
    first, *others = places
    ends = others or [(first[0] + 1, first[1])]
    return f"M{first[0]} {first[1]}" + "".join(f"L{x} {y}" for x, y in ends)
