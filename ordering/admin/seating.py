"""Who has the seats of a conference and who waits for some, as its pages show it."""

from typing import Any

from ordering.admin.formatting import money, seats
from ordering.models import ConferenceSummary, OrderSummary, WaitlistEntry
from ordering.models.conference import counted


class Seating:
    """The seat types, pools and holds of a conference by their codes, each with all figures. What is taken and no
    confirmed order has is reserved: for an order that is not paid yet, or for an offer of the waitlist.
    """

    def __init__(self, conference: ConferenceSummary) -> None:
        sold = OrderSummary.objects.sold(conference.pk)
        types = {code: counted(each) for code, each in sorted(conference.seat_types.items())}
        self.seat_types = {code: _split(each, sold[code]) for code, each in types.items()}
        self.pools = {
            code: _split(pool, sum(sold[each] for each in types if code in types[each]["pools"]))
            for code, pool in sorted(conference.pools.items())
        }
        self.holds: dict[str, dict[str, Any]] = conference.holds

    def shown(self) -> dict[str, Any]:
        """As the page of the conference shows them."""
        return {
            "seat_types": [
                {
                    **each,
                    "code": code,
                    "cost": money(each["price"]["amount"], each["price"]["currency"]),
                    "left": seats(each),
                    "pools": [self.pools[pool]["name"] for pool in each["pools"]],
                }
                for code, each in self.seat_types.items()
            ],
            "pools": [{**each, "code": code, "left": seats(each)} for code, each in self.pools.items()],
            "holds": [
                {**each, "code": hold_id, "of": self.seat_types[each["seat_type"]]["name"]}
                for hold_id, each in self.holds.items()
            ],
        }


def waited_for(conference: ConferenceSummary) -> list[dict[str, Any]]:
    """By seat type: how many wait for seats of it, how many have an offer, and how many seats that are. None of a type
    for which nobody waits.
    """
    waiting, wanted = WaitlistEntry.objects.wanted(conference.pk, WaitlistEntry.Status.WAITING)
    offers, offered = WaitlistEntry.objects.wanted(conference.pk, WaitlistEntry.Status.OFFERED)
    return [
        {
            "code": code,
            "name": each["name"],
            "waiting": waiting[code],
            "wanted": wanted[code],
            "offers": offers[code],
            "offered": offered[code],
        }
        for code, each in sorted(conference.seat_types.items())
        if waiting[code] or offers[code]
    ]


def _split(counts: dict[str, Any], sold: int) -> dict[str, Any]:
    """An order is confirmed a moment before its seats are sold, and cancelled a moment before they are free."""
    sold = min(sold, counts["taken"])
    return {**counts, "sold": sold, "reserved": counts["taken"] - sold}
