"""What all pages of the admin have in common, in Unfold's theme."""

from unfold.admin import ModelAdmin


class ThemedAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """What Unfold's admins have in common here."""

    compressed_fields = False
    list_filter_sheet = True

    class Media:
        css = {"all": ["eventstore/admin.css"]}
