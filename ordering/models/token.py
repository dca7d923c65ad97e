from django.contrib.postgres.fields import ArrayField
from django.db import models
from knox.models import AuthToken


class TokenUse(models.Model):
    """When a token was last used, to the hour. Its row goes with that of its token, whichever process deletes that: the
    database sees to it.
    """

    token = models.OneToOneField(
        AuthToken, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="use"
    )
    used_at = models.DateTimeField(help_text="the beginning of the hour")

    class Meta:
        verbose_name = "use of a token"
        verbose_name_plural = "uses of tokens"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.used_at)


class MachineToken(models.Model):
    """A token that may do no more than its scopes say, and what it is called. Its row goes with that of its token."""

    token = models.OneToOneField(
        AuthToken, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="machine"
    )
    name = models.CharField(max_length=100)
    scopes = ArrayField(models.CharField(max_length=50))

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
