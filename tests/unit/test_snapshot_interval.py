import pytest

from eventstore.repository import snapshot_interval
from ordering.domain.conference import ConferenceSeats
from ordering.domain.order import Order


@pytest.mark.parametrize(
    ("version", "interval"),
    [(1, 100), (1_999, 100), (2_000, 200), (3_999, 200), (4_000, 400), (10_000, 800), (1_000_000, 51_200)],
)
def test_a_long_stream_has_fewer_snapshots(version, interval):
    assert snapshot_interval(ConferenceSeats, version) == interval


def test_what_is_read_after_a_snapshot_is_at_most_a_tenth_of_a_long_stream():
    assert all(snapshot_interval(ConferenceSeats, version) <= version / 10 for version in range(1_000, 200_000, 97))


def test_who_wants_no_snapshots_has_none():
    assert snapshot_interval(Order, 10_000) == 0
