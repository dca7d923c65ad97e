"""The published contract of the API, and how it compares with the code."""

from argparse import ArgumentParser
from difflib import unified_diff
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer2

from ordering.api.changes import changes

PUBLISHED = settings.BASE_DIR / "docs" / "openapi.yaml"


class Command(BaseCommand):
    help = "Compare docs/openapi.yaml with the code, or write it anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write it anew, unless a change is breaking")
        parser.add_argument("--breaking", action="store_true", help="write it even so: nobody was promised that yet")

    def handle(self, *args: Any, write: bool, breaking: bool, **options: Any) -> None:
        now = OpenApiYamlRenderer2().render(
            SchemaGenerator().get_schema(request=None, public=True), renderer_context={}
        )
        text = now.decode()
        published = PUBLISHED.read_text() if PUBLISHED.exists() else ""
        if text == published:
            self.stdout.write("docs/openapi.yaml is what the code says.")
            return
        found = changes(yaml.safe_load(published), yaml.safe_load(text)) if published else []
        for change in found:
            self.stdout.write(str(change))
        if not write:
            lines = unified_diff(
                published.splitlines(), text.splitlines(), "docs/openapi.yaml", "the code", lineterm=""
            )
            self.stdout.write("\n".join(lines))
            raise CommandError("docs/openapi.yaml is stale: make schema")
        if any(change.breaking for change in found) and not breaking:
            raise CommandError("This breaks what /api/v1 promises, so it was not written.")
        PUBLISHED.write_text(text)
        self.stdout.write("docs/openapi.yaml is written.")
