"""What the programs printed: above all each traceback that somebody would have to read."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_SPEAKER = re.compile(r"^ *(\S+) │ (.*)$")
_VARIES = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
WIDTH = 100
_BEGINS = "Traceback (most recent call last)"
_GOES_ON = ("The above exception was", "During handling of the above")


class Traceback(NamedTuple):
    """One of several that differ in numbers only."""

    times: int
    name: str
    lines: list[str]

    def __str__(self) -> str:
        return "\n    ".join([f"{self.times} × {self.name}", *self.lines])


def tracebacks(log: str) -> list[Traceback]:
    """Each that is not the same as another, with the line before it, the most frequent first."""
    times: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], list[str]] = {}
    for name, lines in _blocks(log):
        frames = [line for line in lines if line.startswith("  File ")]
        key = name, _VARIES.sub("#", " ".join([*frames[-1:], lines[-1]]))
        times[key] += 1
        first.setdefault(key, lines)
    return [Traceback(number, key[0], first[key]) for key, number in times.most_common()]


def restarts(log: str) -> Counter[str]:
    """How often each program was started again."""
    return Counter(re.findall(r"│ (\S+) ended .*; it starts again", log))


def warnings(log: str) -> Counter[str]:
    """How often each program warned of each thing, or told of an error."""
    found = re.findall(r"^ *(\S+) │ \S+ \[(?:warning|error|critical) *\] (.*?) +\[[\w.]+\]", log, re.MULTILINE)
    return Counter(f"{name}: {_VARIES.sub('#', text)[:WIDTH]}" for name, text in found)


def _blocks(log: str) -> Iterator[tuple[str, list[str]]]:
    """Who printed it, and the lines from the one before a traceback to the one that names its error."""
    opened: dict[str, list[str]] = {}
    ended: set[str] = set()
    before: dict[str, str] = {}
    for line in log.splitlines():
        found = _SPEAKER.match(line)
        if not found:
            continue
        name, text = found.groups()
        if name in ended and not text.startswith(_GOES_ON):
            ended.discard(name)
            yield name, opened.pop(name)
        if name in opened:
            opened[name].append(text)
            ended.discard(name)
            if not text.startswith((" ", "\t", *_GOES_ON)) and _BEGINS not in text:
                ended.add(name)
        elif _BEGINS in text:
            opened[name] = [before.get(name, ""), text]
        before[name] = text
    yield from opened.items()
