"""Why something is not taken for what a provider reports."""

from typing import Any


class InvalidReport(ValueError):
    """It is the provider's, and of another shape than its reports. `faults` are by field, where that is known."""

    def __init__(self, detail: str, faults: Any = None) -> None:
        super().__init__(detail)
        self.faults = faults
