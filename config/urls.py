from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from ordering.api import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("ordering.api.urls")),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.measured),
]

handler400 = "ordering.api.problems.bad_request"
handler404 = "ordering.api.problems.page_not_found"
handler500 = "ordering.api.problems.server_error"
