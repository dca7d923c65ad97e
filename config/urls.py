from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from eventstore.admin import search
from ordering.admin import dashboard
from ordering.api import health
from ordering.api.views import Nothing

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/status/", dashboard.fragment, name="dashboard-status"),
    path("admin/search/", admin.site.admin_view(search.page), name="admin-search"),
    path("admin/problems/", dashboard.all_problems, name="problems"),
    path("admin/", admin.site.urls),
    path("", include("ordering.pages.urls")),
    path("api/v1/", include("ordering.api.urls")),
    re_path("^api/", Nothing.as_view()),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.measured),
]

handler400 = "ordering.api.problems.bad_request"
handler404 = "ordering.api.problems.page_not_found"
handler500 = "ordering.api.problems.server_error"
