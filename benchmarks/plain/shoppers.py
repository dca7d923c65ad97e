"""The same over HTTP from the plain tables."""

from typing import Any

from django.contrib.auth.models import User
from knox.models import AuthToken

from benchmarks import shoppers
from benchmarks.plain.buyers import on_sale
from benchmarks.plain.models import Customer
from benchmarks.shoppers import Account
from eventstore.context import new_id


class Shopper(shoppers.Shopper):
    def sign_up(self) -> Account:
        user = User.objects.create(username=new_id().hex)
        customer = Customer.objects.create(name="Ada Allen", email=f"{new_id().hex}@example.org", user=user)
        return Account(str(customer.pk), AuthToken.objects.create(user)[1], str(on_sale("over HTTP")))

    def asked(self) -> dict[str, Any]:
        """Ids are given by the database, and an order that is sent twice is placed twice."""
        account = self.account
        return {
            **self.seats(),
            "customer_id": int(account.customer_id),
            "conference_id": int(account.conference_id),
        }


class Order(Shopper, shoppers.Order):
    pass


class GetOrder(Shopper, shoppers.GetOrder):
    pass


class PatchCustomer(Shopper, shoppers.PatchCustomer):
    pass
