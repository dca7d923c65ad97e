"""`python -m eventstore startproject NAME [DIRECTORY]`: a small project on the three apps, to begin with."""

import argparse
import keyword
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from django.core.management.utils import get_random_secret_key

SKELETON = Path(__file__).parent / "skeleton"
SUFFIX = "-tpl"
FOLDER = "project_name"
"""The folder of the skeleton that is called as the project is."""

APP = "helpdesk"
DISTRIBUTION = "boxoffice-eventsourcing"


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits with 2, and says why, where nothing can be written."""
    parser = argparse.ArgumentParser(prog="python -m eventstore", description="Help with projects on the three apps.")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    start = commands.add_parser(
        "startproject",
        help="write a small Django project with an aggregate, a projection, a saga, an effect and their tests",
        description=f"Write a small Django project on eventstore, projections and sagas, with one app, {APP}: an"
        " aggregate, a projection, a saga, an effect, and a test of each. Nothing is run, no database is needed.",
    )
    start.add_argument("name", help="of the project and of its package: a Python identifier that isn't taken")
    start.add_argument("directory", nargs="?", type=Path, help="where; made if need be, else empty (default: ./NAME)")
    options = parser.parse_args(arguments)
    name, directory = options.name, options.directory or Path(options.name)
    if fault := _fault_of_name(name) or _fault_of(directory):
        start.error(fault)
    write(name, directory)
    sys.stdout.write(f"{name} is written. Go on in {directory}, with its README.md.\n")


def write(name: str, directory: Path) -> None:
    """Write the skeleton under this name."""
    said = {"project": name, "secret_key": get_random_secret_key(), "requirement": _requirement()}
    for template in sorted(SKELETON.rglob(f"*{SUFFIX}")):
        parts = [name if part == FOLDER else part for part in template.relative_to(SKELETON).parts]
        text = template.read_text(encoding="utf-8")
        for word, value in said.items():
            text = text.replace(f"{{{{ {word} }}}}", value)
        file = directory.joinpath(*parts).with_name(parts[-1].removesuffix(SUFFIX))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _fault_of_name(name: str) -> str | None:
    if not name.isidentifier() or keyword.iskeyword(name):
        return f"{name!r} is no Python identifier, such as my_shop."
    if name == APP:
        return f"{name!r} is what the app of the skeleton is called: choose another name for the project."
    found = find_spec(name)
    # A folder without Python in it, which may be the very one to write to, is found as well; it has no file.
    if found is not None and found.origin is not None:
        return f"{name!r} is taken: Python has a module of this name already."
    return None


def _fault_of(directory: Path) -> str | None:
    if directory.exists() and not directory.is_dir():
        return f"{directory} is a file."
    if directory.is_dir() and any(directory.iterdir()):
        return f"{directory} is not empty."
    return None


def _requirement() -> str:
    """The distribution that this code comes from, by its version if it was installed."""
    try:
        return f"{DISTRIBUTION}~={metadata.version(DISTRIBUTION)}"
    except metadata.PackageNotFoundError:
        return DISTRIBUTION


if __name__ == "__main__":
    main()
