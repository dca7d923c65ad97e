"""What stands in the sidebar of the admin: few entries, each named for what people look for. Pages that belong together
share an entry, and are tabs of each other.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from ordering.admin.dashboard import open_problems

INDEX = "admin:index"


class Page(NamedTuple):
    """A page of the admin by the name of its address, for whoever has one of the permissions. A page of no list of its
    own shows the tabs of `model`.
    """

    title: str
    name: str
    permissions: Sequence[str] = ()
    model: str = ""
    is_list: bool = True

    def is_shown(self, request: HttpRequest) -> bool:
        return not self.permissions or any(map(request.user.has_perm, self.permissions))

    def is_current(self, request: HttpRequest) -> bool:
        return _current(request.path) == self.name


class Entry(NamedTuple):
    """An entry of the sidebar, with its pages as tabs. It leads to the first of them that its reader may see."""

    title: str
    icon: str
    pages: Sequence[Page]

    def shown(self, request: HttpRequest) -> list[Page]:
        return [page for page in self.pages if page.is_shown(request)]


def _list(title: str, app: str, model: str, *, is_list: bool = True) -> Page:
    """The changelist of a model; a page of another kind where it `is_list` not."""
    return Page(title, f"admin:{app}_{model}_changelist", [f"{app}.view_{model}"], f"{app}.{model}", is_list)


PROBLEMS = Entry(
    "Problems",
    "notification_important",
    [
        Page(
            "Now",
            "problems",
            [
                *("eventstore.view_subscriberrow", "eventstore.view_incident", "eventstore.view_workerheartbeat"),
                *("eventstore.view_storedevent", "sagas.view_outboxcommand", "sagas.view_delivery"),
            ],
            "problems",
        ),
        _list("Incidents", "eventstore", "incident"),
        _list("Parked events", "eventstore", "parkedevent"),
        _list("Discarded", "eventstore", "discardedevent"),
        _list("Skipped", "eventstore", "skippedrange"),
        _list("Warnings", "eventstore", "handlerwarning"),
    ],
)

MENU: Sequence[tuple[str, Sequence[Entry]]] = (
    ("", [Entry("Overview", "monitor_heart", [Page("Overview", INDEX)])]),
    (
        "Sales",
        [
            Entry(
                "Orders",
                "receipt_long",
                [
                    _list("Orders", "ordering", "ordersummary"),
                    _list("Waitlist", "ordering", "waitlistentry"),
                    _list("Unmatched payments", "ordering", "unmatchedmoney"),
                    Page("Bank statements", "admin:ordering_statement", ["ordering.book_statement"]),
                    _list("Excess", "ordering", "excess"),
                    _list("Failed refunds", "ordering", "failedrefund"),
                ],
            ),
            Entry("Customers", "group", [_list("Customers", "ordering", "customerprofile")]),
            Entry("Conferences", "event_seat", [_list("Conferences", "ordering", "conferencesummary")]),
            Entry(
                "Revenue",
                "payments",
                [
                    _list("By day", "ordering", "dailysales"),
                    _list("By conference", "ordering", "conferencesales"),
                    _list("Journal", "ordering", "journalentry"),
                    Page("Trial balance", "admin:ordering_trial_balance", ["ordering.view_journalentry"]),
                ],
            ),
        ],
    ),
    (
        "Operations",
        [
            PROBLEMS,
            Entry(
                "Read models",
                "view_list",
                [
                    _list("Read models", "projections", "generation"),
                    _list("Subscribers", "eventstore", "subscriberrow", is_list=False),
                ],
            ),
            Entry(
                "Processes",
                "account_tree",
                [
                    _list("Sagas", "sagas", "instance"),
                    _list("Commands", "sagas", "outboxcommand"),
                    _list("Timers", "sagas", "timer"),
                    _list("Rehearsals", "sagas", "rehearsalrun"),
                ],
            ),
            Entry(
                "Mails & effects",
                "mail",
                [
                    _list("Mails & effects", "sagas", "delivery"),
                    _list("Webhook endpoints", "sagas", "webhookendpoint"),
                    _list("Webhook deliveries", "sagas", "webhookdelivery"),
                ],
            ),
            Entry(
                "Workers",
                "memory",
                [_list("Workers", "eventstore", "workerheartbeat"), _list("Consumers", "eventstore", "consumer")],
            ),
        ],
    ),
    (
        "History",
        [
            Entry(
                "Event log",
                "history",
                [
                    _list("Events", "eventstore", "storedevent", is_list=False),
                    Page("Event types", "admin:eventstore_event_types", ["eventstore.view_storedevent"]),
                    _list("Imports", "eventstore", "importrun"),
                ],
            ),
            Entry(
                "Audit log",
                "policy",
                [_list("Operators", "eventstore", "operatoraction"), _list("Staff", "admin", "logentry")],
            ),
        ],
    ),
    (
        "Settings",
        [
            Entry("Users & groups", "person", [_list("Users", "auth", "user"), _list("Groups", "auth", "group")]),
            Entry("Tokens", "key", [_list("Tokens", "knox", "authtoken")]),
            Entry("This database", "fingerprint", [_list("This database", "eventstore", "logidentity")]),
        ],
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, as Unfold wants it, with what this person may see."""
    groups = [(title, [entry for entry in entries if entry.shown(request)]) for title, entries in MENU]
    return [
        {"title": title, "separator": bool(title), "items": [_item(entry, request) for entry in entries]}
        for title, entries in groups
        if entries
    ]


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """The tabs of lists, and of pages beside them, as Unfold wants them."""
    return [_tabs(entry) for _, entries in MENU for entry in entries if len(entry.pages) > 1]


def _item(entry: Entry, request: HttpRequest) -> dict[str, Any]:
    pages = entry.shown(request)
    item = {
        "title": entry.title,
        "icon": entry.icon,
        "link": reverse(pages[0].name),
        "active": any(page.is_current(request) for page in pages),
    }
    if entry is PROBLEMS and (number := open_problems(request)):
        item["badge"] = f"{number:,}"
    return item


def _tabs(entry: Entry) -> dict[str, Any]:
    models = [page.model for page in entry.pages if page.model]
    beside = [{"name": page.model, "detail": True} for page in entry.pages if page.model and not page.is_list]
    return {
        "page": entry.pages[0].model,
        "models": [*models, *beside],
        "items": [
            {
                "title": page.title,
                "link": reverse(page.name),
                "permission": page.is_shown,
                "active": page.is_current,
            }
            for page in entry.pages
        ],
    }


@cache
def _addresses() -> Sequence[tuple[str, str]]:
    """Every page with its address, the longest first: one may begin as another does."""
    pages: Iterator[Page] = (page for _, entries in MENU for entry in entries for page in entry.pages)
    return sorted(((reverse(page.name), page.name) for page in pages), key=lambda each: -len(each[0]))


def _current(path: str) -> str:
    """The page that is shown at this path, or that leads there."""
    if path == reverse(INDEX):
        return INDEX
    return next((name for address, name in _addresses() if name != INDEX and path.startswith(address)), "")
