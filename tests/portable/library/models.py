from django.db import models

from projections.models import ReadModel


class Shelf(ReadModel):
    book_id = models.UUIDField(primary_key=True)
    title = models.TextField()
    lent_to = models.TextField(default="")
    reminders = models.IntegerField(default=0)
