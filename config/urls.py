from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from ordering.admin import front_page

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/status/", front_page.fragment, name="front-page-status"),
    path("admin/", admin.site.urls),
]
