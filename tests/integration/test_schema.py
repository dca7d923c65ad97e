"""The tables may stand in a schema of their own, which one setting names."""

import os
from pathlib import Path

import psycopg
import pytest

from tests.integration.fork_server import manage, try_manage
from tests.integration.test_portable import project

__all__ = ["project"]

OWN = """
DATABASES["default"]["OPTIONS"] = {"options": "-c search_path=library"}
PROJECTIONS_SCHEMA = "library"
"""


@pytest.fixture
def apart(project: Path) -> Path:
    """A project whose connections look into a schema of their own first, and nowhere else."""
    with psycopg.connect(os.environ["SPARE_DATABASE_URL"], autocommit=True) as database:
        database.execute("DROP SCHEMA IF EXISTS library CASCADE")
        database.execute("CREATE SCHEMA library")
    with (project / "settings.py").open("a") as settings:
        settings.write(OWN)
    manage(project, "makemigrations", "library")
    manage(project, "migrate")
    return project


def test_a_projection_is_fed_rebuilt_and_verified_in_the_schema_that_the_setting_names(apart):
    manage(apart, "check", "--database", "default")
    assert "lent, reminded, rebuilt" in manage(apart, "lend")
    with psycopg.connect(os.environ["SPARE_DATABASE_URL"]) as database:
        tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'library_shelf' ORDER BY 1"
        live, former = (name for (name,) in database.execute(tables))
    assert live == "library"
    assert former.startswith("library_generation_")


def test_a_setting_that_names_another_schema_is_told(apart):
    with (apart / "settings.py").open("a") as settings:
        settings.write('PROJECTIONS_SCHEMA = "public"\n')
    told = try_manage(apart, "check", "--database", "default")
    assert "(projections.E016)" in told.stdout + told.stderr
