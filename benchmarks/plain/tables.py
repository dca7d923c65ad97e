"""Makes the tables of the plain sale."""

from django.apps import apps
from django.db import connections

from eventstore.roles import grant_to_application, owner_alias


def make() -> None:
    """By the owner of the database, for the application to use."""
    with connections[owner_alias()].schema_editor() as editor:
        for model in apps.get_app_config("plain").get_models():
            editor.create_model(model)
    grant_to_application(owner_alias())
