"""What is wrong with the environment of this site, judged at start-up."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def renamed_variables(**_: Any) -> list[CheckMessage]:
    """A variable that is set under the name that it had would do nothing."""
    return [
        Error(f"The variable {old} of the environment is called {new} now.", hint="Rename it.", id="ordering.E001")
        for old, new in settings.RENAMED_VARIABLES.items()
    ]
