"""The pages for customers, who have no login here: mails lead to them."""

from django.urls import path

from ordering.pages.profile import profile

urlpatterns = [
    path("profile/<str:token>", profile, name="profile"),
]
