from django.urls import include, path
from rest_framework.routers import SimpleRouter

from benchmarks.plain.api import Customers, Orders

router = SimpleRouter(trailing_slash=False)
router.register("customers", Customers, "customer")
router.register("orders", Orders, "order")

urlpatterns = [path("api/v1/", include(router.urls))]

handler400 = "ordering.api.problems.bad_request"
handler404 = "ordering.api.problems.page_not_found"
handler500 = "ordering.api.problems.server_error"
