from django.db import models
from django.db.models.functions import Now

from eventstore.context import new_id


class KeyedCall(models.Model):
    """A call of the API that its client gave a key, for as long as it can be repeated. Not a read table: no event tells
    it.

    Without an answer it is under way, or whoever carried it out is gone.
    """

    id = models.UUIDField(
        primary_key=True, default=new_id, help_text="of what is created, and what the ids of the commands are made of"
    )
    digest = models.CharField(max_length=64, unique=True, help_text="of who calls, what is called, and the key")
    body_digest = models.CharField(max_length=64)
    begun_at = models.DateTimeField(db_default=Now(), db_index=True)
    answer = models.BinaryField(null=True, help_text="sealed with the key, of which only the client knows")

    class Meta:
        verbose_name = "keyed call"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)
