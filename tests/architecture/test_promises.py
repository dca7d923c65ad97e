"""What must hold of the code as a whole. (Who may import whom is checked by import-linter, see pyproject.toml.)"""

import subprocess
import sys
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).parent.parent.parent
APPS = ("config", "eventstore", "projections", "sagas", "ordering")


def sources(*folders):
    return [path for folder in folders for path in (BASE_DIR / folder).rglob("*.py") if "migrations" not in path.parts]


def test_no_setting_runs_tasks_in_the_process_that_sends_them():
    found = [path for path in sources(*APPS, "tests") if "always_" + "eager" in path.read_text().lower()]
    assert found == []


def test_only_the_store_calls_the_functions_of_the_log():
    calls = ("eventstore_append_v", "eventstore_horizon_v")
    found = {path for path in sources(*APPS) if any(call in path.read_text() for call in calls)}
    assert found == {BASE_DIR / "eventstore" / "queries.py"}
    asked = ("queries.APPEND", "queries.HORIZON")
    found = {path for path in sources(*APPS) if any(query in path.read_text() for query in asked)}
    assert found == {BASE_DIR / "eventstore" / "store.py"}


@pytest.mark.parametrize("module", ["ordering.domain.order", "eventstore.aggregates", "eventstore.codec"])
def test_the_domain_needs_no_django_to_be_imported(module):
    program = (
        f"import sys; import {module}; assert not [name for name in sys.modules if name.split('.')[0] == 'django']"
    )
    subprocess.run([sys.executable, "-c", program], cwd=BASE_DIR, check=True)
