"""What migrations need that change the tables of read models."""

from typing import Any

from django.db.migrations.operations import AlterField, RenameModel
from django.db.models import Model

_RENAME_IN_GENERATIONS = """DO $$ DECLARE schema text; BEGIN
    FOR schema IN SELECT schemaname FROM pg_tables WHERE tablename = '{old}' AND schemaname LIKE '%generation\\_%' LOOP
        EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', schema, '{old}', '{new}');
    END LOOP;
    UPDATE projections_generation SET indexes = replace(indexes::text, '.{old} ', '.{new} ')::jsonb
    WHERE indexes::text LIKE '%.{old} %';
END $$"""
"""Renames a read table in the schemas of all generations that keep one, and in the statements of their indexes."""

_RETYPE_IN_GENERATIONS = """DO $$ DECLARE schema text; BEGIN
    FOR schema IN SELECT schemaname FROM pg_tables WHERE tablename = '{table}' AND schemaname LIKE '%generation\\_%'
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ALTER COLUMN %I TYPE {type}', schema, '{table}', '{column}');
    END LOOP;
END $$"""
"""Gives a column of a read table another type in the schemas of all generations that keep one."""


class RenameReadModel(RenameModel):
    """Rename a read model, its live table, and that of each generation that is kept or being filled."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        before = from_state.apps.get_model(app_label, self.old_name)
        self._rename(schema_editor, before, to_state.apps.get_model(app_label, self.new_name))
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        before = from_state.apps.get_model(app_label, self.new_name)
        self._rename(schema_editor, before, to_state.apps.get_model(app_label, self.old_name))
        super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _rename(self, schema_editor: Any, before: type[Model], after: type[Model]) -> None:
        if self.allow_migrate_model(schema_editor.connection.alias, after):
            names = {"old": before._meta.db_table, "new": after._meta.db_table}
            schema_editor.execute(_RENAME_IN_GENERATIONS.format(**names), params=None)


class RetypeReadModelField(AlterField):
    """Give a column of a read model another type that holds its values, in its live table and in that of each
    generation that is kept or being filled.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            field = model._meta.get_field(self.name)
            type_ = field.db_type(schema_editor.connection)
            names = {"table": model._meta.db_table, "column": field.column, "type": type_}
            schema_editor.execute(_RETYPE_IN_GENERATIONS.format(**names), params=None)
