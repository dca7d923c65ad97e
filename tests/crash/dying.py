"""The same application, in processes of which one is going to die."""

from tests.crash.app import app
from tests.crash.death import arm

__all__ = ["app"]

arm()
