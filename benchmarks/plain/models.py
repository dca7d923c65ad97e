"""The tables: each is what people read as well as what the rules are checked against.

Orders can be listed in the same ways as the order summaries of Boxoffice, so they have the same indexes.
"""

from django.conf import settings
from django.db import models


class Customer(models.Model):
    """Who buys, where mails go, and their login if they have one."""

    name = models.TextField()
    email = models.TextField(unique=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return self.name


class Conference(models.Model):
    """A conference and when its seats are on sale."""

    name = models.TextField(unique=True)
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Seats(models.Model):
    """The seats of one type of a conference, counted. Who changes the counters locks the row."""

    conference = models.ForeignKey(Conference, models.PROTECT, related_name="seats", db_index=False)
    code = models.TextField()
    price = models.DecimalField(max_digits=20, decimal_places=2)
    currency = models.CharField(max_length=3)
    capacity = models.IntegerField()
    max_per_order = models.IntegerField()
    reserved = models.IntegerField(default=0)
    sold = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conference", "code"], name="plain_seats_code"),
            models.CheckConstraint(
                condition=models.Q(reserved__gte=0, sold__gte=0)
                & models.Q(capacity__gte=models.F("reserved") + models.F("sold")),
                name="plain_seats_counted",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def available(self) -> int:
        return self.capacity - self.reserved - self.sold


class Order(models.Model):
    """An order, and where it stands."""

    class Status(models.TextChoices):
        PLACED = "placed"
        RESERVED = "reserved"
        AWAITING_PAYMENT = "awaiting_payment"
        CONFIRMED = "confirmed"

    number = models.TextField()
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders", db_index=False)
    conference = models.ForeignKey(Conference, models.PROTECT, related_name="orders", db_index=False)
    status = models.TextField(choices=Status, default=Status.PLACED)
    total = models.DecimalField(max_digits=20, decimal_places=2)
    currency = models.CharField(max_length=3)
    placed_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["-placed_at", "-id"], name="plain_order_newest"),
            models.Index(fields=["customer", "-placed_at", "-id"], name="plain_order_customer"),
            models.Index(fields=["conference", "-placed_at", "-id"], name="plain_order_conference"),
            models.Index(fields=["status", "-placed_at", "-id"], name="plain_order_status"),
            models.Index(fields=["number"], name="plain_order_number"),
        ]

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    """How many seats of a type an order asks for, and what one of them cost then."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    seat_type = models.TextField()
    quantity = models.IntegerField()
    unit_price = models.DecimalField(max_digits=20, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.seat_type}"


class OrderHistory(models.Model):
    """What happened to an order, for whoever asks later; only ever added to."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="history")
    what = models.TextField()
    actor = models.TextField()
    data = models.JSONField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "order histories"

    def __str__(self) -> str:
        return self.what


class Payment(models.Model):
    """What a provider is asked to collect for an order, and what became of it."""

    class Status(models.TextChoices):
        REQUESTED = "requested"
        ACCEPTED = "accepted"

    order = models.OneToOneField(Order, models.PROTECT, related_name="payment")
    amount = models.DecimalField(max_digits=20, decimal_places=2)
    currency = models.CharField(max_length=3)
    provider = models.TextField()
    reference = models.TextField(blank=True, default="")
    status = models.TextField(choices=Status, default=Status.REQUESTED)
    requested_at = models.DateTimeField(auto_now_add=True)
    accepted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class SalesOfDay(models.Model):
    """Money received on one day (UTC), by currency."""

    day = models.DateField()
    currency = models.CharField(max_length=3)
    payments = models.IntegerField(default=0)
    received = models.DecimalField(max_digits=20, decimal_places=2, default=0)

    class Meta:
        verbose_name_plural = "sales of a day"
        constraints = [models.UniqueConstraint(fields=["day", "currency"], name="plain_sales_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.currency}"


class Outbox(models.Model):
    """A mail that a worker has yet to send."""

    template = models.TextField()
    order = models.ForeignKey(Order, models.CASCADE, related_name="mails")
    due_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "outbox"
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(sent_at=None), name="plain_outbox_due"),
        ]

    def __str__(self) -> str:
        return self.template
