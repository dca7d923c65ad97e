class BenchmarkFailed(Exception):
    """The benchmark could not be carried out, or a promise was broken; the message says what happened."""


def promise(kept: bool, broken: str) -> None:
    """Raises `BenchmarkFailed` with these words unless the promise was kept."""
    if not kept:
        raise BenchmarkFailed(broken)
