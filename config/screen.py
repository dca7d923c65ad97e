"""The one screen that says where everything is."""

from collections.abc import Mapping

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from config import administrator
from config.bundled import Home


def show(console: Console, environment: Mapping[str, str], home: Home) -> None:
    """Prints addresses, credentials and how to stop; `environment` is the one that the processes got."""
    site = environment["BASE_URL"]
    lines = {
        "Site": f"{site}/",
        "Admin": f"{site}/admin/   user {administrator.NAME}, {_password(environment, home)}",
        "API": f"{site}/api/v1/docs",
        "Mails": environment.get("EMAIL_URL") or str(home.root / "mail"),
        "Home": str(home.root),
        "Database": environment["DATABASE_URL"],
        "its owner": environment.get("DATABASE_OWNER_URL") or "the same",
        "Queue": environment["REDIS_URL"],
        "Stop": "Ctrl-C",
    }
    # Lines as long as they are: who copies an address out of a terminal wants it whole.
    console.print()
    console.print(Rule("Boxoffice is running", style="green", align="left"))
    for name, value in lines.items():
        console.print(Text(f"{name:>9}   ", style="bold") + Text(value), soft_wrap=True)
    console.print(Rule(style="green"))
    console.print()


def _password(environment: Mapping[str, str], home: Home) -> str:
    kept = home.known_secret(administrator.PASSWORD)
    if kept is not None:
        return f"password {kept}"
    if "BOXOFFICE_ADMIN_PASSWORD" in environment:
        return "password as in BOXOFFICE_ADMIN_PASSWORD"
    return "the password you gave it"
