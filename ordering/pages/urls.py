"""The pages for customers, who have no login here: mails lead to them."""

from django.urls import path

from ordering.pages.email import email
from ordering.pages.password import password
from ordering.pages.payment import payment
from ordering.pages.profile import profile
from ordering.pages.sandbox import sandbox
from ordering.pages.waitlist import waitlist

urlpatterns = [
    path("pay/<str:token>", payment, name="payment"),
    path("sandbox/<str:token>", sandbox, name="sandbox"),
    path("email/<str:token>", email, name="email"),
    path("password/<str:token>", password, name="password"),
    path("profile/<str:token>", profile, name="profile"),
    path("waitlist/<str:token>", waitlist, name="waitlist"),
]
