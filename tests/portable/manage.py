"""A Django project that has nothing but the three apps and a small domain of its own."""

import os
import sys
from importlib.abc import MetaPathFinder

FORBIDDEN = {"ordering", "config", "rest_framework", "unfold", "knox", "environ"}


class Absent(MetaPathFinder):
    """What is not installed in this project."""

    def find_spec(self, fullname, path, target=None):
        if fullname.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{fullname} is not part of this project", name=fullname)


if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
