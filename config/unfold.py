"""How the admin looks: its name, its colours, and what stands in the sidebar."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy


def _may(*permissions: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perms(permissions)


def _list(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    """The changelist of a model, for whoever may see it."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may(f"{app}.view_{model}"),
    }


def _is_journal(request: HttpRequest) -> bool:
    """The trial balance, whose address begins alike, is marked by itself."""
    journal, balance = reverse("admin:ordering_journalentry_changelist"), reverse("admin:ordering_trial_balance")
    return request.path.startswith(journal) and request.path != balance


def _is_unmatched(request: HttpRequest) -> bool:
    """Bank statements, whose address begins alike, are marked by themselves."""
    unmatched, statement = reverse("admin:ordering_unmatchedmoney_changelist"), reverse("admin:ordering_statement")
    return request.path.startswith(unmatched) and not request.path.startswith(statement)


def _is_event(request: HttpRequest) -> bool:
    """The types of events, whose address begins alike, are marked by themselves."""
    events, types = reverse("admin:eventstore_storedevent_changelist"), reverse("admin:eventstore_event_types")
    return request.path.startswith(events) and not request.path.startswith(types)


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Boxoffice",
    "SITE_HEADER": "Boxoffice",
    "SITE_SYMBOL": "confirmation_number",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("ordering/ticket.svg")},
    ],
    "SHOW_VIEW_ON_SITE": False,
    "SITE_URL": None,
    "BORDER_RADIUS": "6px",
    "STYLES": [lambda request: static("ordering/admin.css")],
    "LOGIN": {"form": "config.login_form.SignInForm"},
    "DASHBOARD_CALLBACK": "ordering.admin.dashboard.dashboard",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "items": [
                    {"title": "Is everything well?", "icon": "monitor_heart", "link": reverse_lazy("admin:index")},
                ],
            },
            _group(
                "Business",
                _list("Orders", "receipt_long", "ordering", "ordersummary"),
                _list("Customers", "group", "ordering", "customerprofile"),
                _list("Conferences", "event_seat", "ordering", "conferencesummary"),
                _list("Waitlist", "hourglass_top", "ordering", "waitlistentry"),
                _list("Sales by day", "payments", "ordering", "dailysales"),
                _list("Sales by conference", "payments", "ordering", "conferencesales"),
            ),
            _group(
                "Books",
                {**_list("Journal", "menu_book", "ordering", "journalentry"), "active": _is_journal},
                {
                    "title": "Trial balance",
                    "icon": "balance",
                    "link": reverse_lazy("admin:ordering_trial_balance"),
                    "permission": _may("ordering.view_journalentry"),
                },
            ),
            _group(
                "Money to look at",
                {**_list("Unmatched payments", "help", "ordering", "unmatchedmoney"), "active": _is_unmatched},
                {
                    "title": "Bank statements",
                    "icon": "upload_file",
                    "link": reverse_lazy("admin:ordering_statement"),
                    "permission": _may("ordering.book_statement"),
                },
                _list("Excess", "savings", "ordering", "excess"),
                _list("Failed refunds", "money_off", "ordering", "failedrefund"),
            ),
            _group(
                "Read models",
                _list("Projections", "view_list", "projections", "generation"),
            ),
            _group(
                "Log",
                {**_list("Events", "history", "eventstore", "storedevent"), "active": _is_event},
                {
                    "title": "Event types",
                    "icon": "schema",
                    "link": reverse_lazy("admin:eventstore_event_types"),
                    "permission": _may("eventstore.view_storedevent"),
                },
                _list("Subscribers", "rss_feed", "eventstore", "subscriberrow"),
                _list("Consumers", "cell_tower", "eventstore", "consumer"),
                _list("Parked events", "local_parking", "eventstore", "parkedevent"),
                _list("Discarded events", "block", "eventstore", "discardedevent"),
                _list("Skipped ranges", "skip_next", "eventstore", "skippedrange"),
                _list("Warnings", "warning", "eventstore", "handlerwarning"),
                _list("Identity", "fingerprint", "eventstore", "logidentity"),
                _list("Operator log", "engineering", "eventstore", "operatoraction"),
            ),
            _group(
                "Monitoring",
                _list("Incidents", "notification_important", "eventstore", "incident"),
                _list("Workers", "memory", "eventstore", "workerheartbeat"),
            ),
            _group(
                "Processes",
                _list("Sagas", "account_tree", "sagas", "instance"),
                _list("Commands", "outbox", "sagas", "outboxcommand"),
                _list("Timers", "timer", "sagas", "timer"),
                _list("Rehearsals", "theater_comedy", "sagas", "rehearsalrun"),
                _list("Deliveries", "mail", "sagas", "delivery"),
                _list("Webhook endpoints", "webhook", "sagas", "webhookendpoint"),
                _list("Webhook deliveries", "send", "sagas", "webhookdelivery"),
            ),
            _group(
                "Access",
                _list("Users", "person", "auth", "user"),
                _list("Groups", "groups", "auth", "group"),
                _list("Tokens", "key", "knox", "authtoken"),
                _list("Done by staff", "policy", "admin", "logentry"),
            ),
        ],
    },
}
