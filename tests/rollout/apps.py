import os
from importlib import import_module
from typing import Any

from django.apps import AppConfig


class RolloutConfig(AppConfig):
    """Declares the business as the release has it."""

    name = "tests.rollout"
    release: Any

    def ready(self) -> None:
        self.release = import_module(f"tests.rollout.release_{os.environ['RELEASE']}")
