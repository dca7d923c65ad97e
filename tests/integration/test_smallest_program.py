"""The program in the README is a whole one: as the models of the only app of a bare project, it runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.integration import packaging
from tests.integration.copying import empty

BASE_DIR = Path(__file__).parents[2]


def program() -> str:
    section = (BASE_DIR / "README.md").read_text().partition("\n## The smallest program\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return block


def test_the_smallest_program_runs_in_a_bare_project(tmp_path):
    python = packaging.environment()
    empty(os.environ["SPARE_DATABASE_URL"])
    for name in ("manage.py", "settings.py"):
        shutil.copy(BASE_DIR / "tests" / "portable" / name, tmp_path)
    app = tmp_path / "library"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(program())

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [python, "manage.py", *arguments],
            cwd=tmp_path,
            env=packaging.variables(python),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    manage("makemigrations", "library")
    manage("check")
    manage("migrate")
    said = manage("shell", "--no-imports", "-c", "from library.models import open_account; print(open_account(100))")
    assert said.splitlines()[-1] == "100"
