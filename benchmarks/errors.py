class BenchmarkFailed(Exception):
    """The benchmark could not be carried out; the message says why."""
