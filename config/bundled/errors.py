"""What can go wrong with a bundled server, in words for the person who started it."""


class BundledError(Exception):
    """A bundled server cannot run here; the message says why and what to do."""


class HomeInUse(BundledError):
    """Another Boxoffice runs from the same home."""
