"""The one screen that says where everything is."""

from collections.abc import Mapping

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from config.bundled import Home
from config.prepare import ADMIN, ADMIN_PASSWORD


def show(console: Console, environment: Mapping[str, str], home: Home) -> None:
    """Prints addresses, credentials and how to stop; `environment` is the one that the processes got."""
    site = environment["BASE_URL"]
    rows = {
        "Site": site,
        "Admin": f"{site}/admin/",
        "": f"user {ADMIN}, {_password(environment, home)}",
        "API": f"{site}/api/v1/docs",
        "Mails": environment.get("EMAIL_URL") or str(home.root / "mail"),
        "PostgreSQL": environment["DATABASE_URL"],
        "  as owner": environment.get("DATABASE_OWNER_URL", "the same"),
        "Redis": environment["REDIS_URL"],
        "Home": str(home.root),
        "Stop": "Ctrl-C",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(Panel(table, title="Boxoffice is running", border_style="green", expand=False, padding=(1, 2)))


def _password(environment: Mapping[str, str], home: Home) -> str:
    kept = home.known_secret(ADMIN_PASSWORD)
    if kept is not None:
        return f"password {kept}"
    if "BOXOFFICE_ADMIN_PASSWORD" in environment:
        return "password as in BOXOFFICE_ADMIN_PASSWORD"
    return "the password you gave it"
