"""How the admin looks: its name, its colours, and what stands in the sidebar."""

from typing import Any

from django.templatetags.static import static

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
    "SIDEBAR": {"show_search": False, "navigation": "config.menu.navigation"},
    "TABS": "config.menu.tabs",
}
