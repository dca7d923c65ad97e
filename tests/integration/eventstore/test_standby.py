"""A standby has the rows of the log, and not what tells how far they are final."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from config import bundled
from config.bundled.guardian import Guardian
from eventstore import queries, sql
from tests.integration.standbys import Standby
from tests.servers import temporary_home

pytestmark = pytest.mark.bundled


@contextmanager
def standby_of(home: bundled.Home) -> Iterator[Standby]:
    """The servers of a home, which have stopped, come up again as a standby."""
    with home.locked() as lock:
        guardian = Guardian(lock)
        standby = Standby(home, guardian, {})
        (standby.folder / "standby.signal").touch()
        try:
            standby.start()
            yield standby
        finally:
            guardian.close()
            standby.stop()


def test_a_standby_refuses_to_say_how_far_the_log_is_final():
    function = Path(sql.FOLDER, "horizon_v3.sql").read_text()
    with temporary_home() as home:
        with bundled.servers(home, valkey=False) as servers:
            with closing(psycopg.connect(servers.owner_url, autocommit=True)) as owner:
                owner.execute("CREATE TABLE eventstore_event (position bigserial)")
                owner.execute(function)
                owner.execute("INSERT INTO eventstore_event DEFAULT VALUES")
                assert owner.execute(queries.HORIZON, [-1]).fetchone() == (1,)
            servers.postgres.kill()
            url = servers.owner_url
        with standby_of(home), closing(psycopg.connect(url, autocommit=True)) as reader:
            assert reader.execute("SELECT max(position) FROM eventstore_event").fetchone() == (1,)
            assert reader.execute("SELECT last_value FROM eventstore_event_position_seq").fetchone() == (33,)
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                reader.execute(queries.HORIZON, [-1])


def test_a_standby_that_is_promoted_is_another_database_at_once():
    """Its checkpoints, which tell the timeline too, do so only when the first of them is done."""
    with temporary_home() as home:
        with bundled.servers(home, valkey=False) as servers:
            with closing(psycopg.connect(servers.owner_url, autocommit=True)) as owner:
                before = owner.execute(queries.HERE).fetchone()
            servers.postgres.kill()
            url = servers.owner_url
        with standby_of(home) as standby, closing(psycopg.connect(url, autocommit=True)) as reader:
            assert reader.execute(queries.HERE).fetchone() == before
            standby.promote()
            after = reader.execute(queries.HERE).fetchone()
    assert after != before
