"""What migrations of these apps and of a project's own may need beside Django's operations."""

from collections.abc import Mapping

from django.db.migrations.operations import RunSQL

_RENAME_PERMISSION = """DO $$ BEGIN
    IF to_regclass('auth_permission') IS NOT NULL THEN
        UPDATE auth_permission AS permission SET codename = '{new}'
        FROM django_content_type AS type
        WHERE type.id = permission.content_type_id AND type.app_label = '{app}' AND permission.codename = '{old}'
            AND NOT EXISTS (SELECT FROM auth_permission AS other
                WHERE other.content_type_id = permission.content_type_id AND other.codename = '{new}');
    END IF;
END $$"""
"""Renames one permission, where it is there; who was given it keeps it. A project may have no permissions at all."""


class RenamePermissions(RunSQL):
    """Rename permissions of an app, by their codenames; users and groups keep what they were given."""

    def __init__(self, app: str, renamed: Mapping[str, str]) -> None:
        self.app, self.renamed = app, dict(renamed)
        super().__init__(
            [_RENAME_PERMISSION.format(app=app, old=old, new=new) for old, new in self.renamed.items()],
            [_RENAME_PERMISSION.format(app=app, old=new, new=old) for old, new in self.renamed.items()],
        )

    def deconstruct(self) -> tuple[str, list[str], dict[str, dict[str, str]]]:
        return type(self).__name__, [self.app], {"renamed": self.renamed}

    def describe(self) -> str:
        return f"Rename permissions of {self.app}"


def of_model(old: str, new: str) -> dict[str, str]:
    """The permissions that Django makes for a model, by their codenames before and after it was renamed."""
    return {f"{act}_{old}": f"{act}_{new}" for act in ("add", "change", "delete", "view")}
