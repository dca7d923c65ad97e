from django.db import models

from eventstore.context import new_id


class StatementFile(models.Model):
    """A bank statement that was uploaded, until it is booked or a day has passed. Not a read table: no event tells
    it.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    name = models.TextField()
    content = models.BinaryField()
    options = models.JSONField(default=dict, help_text="how a CSV file is to be read")
    uploaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "bank statement"
        default_permissions = ()
        permissions = [("book_statement", "Can upload bank statements and book what came in")]

    def __str__(self) -> str:
        return self.name
