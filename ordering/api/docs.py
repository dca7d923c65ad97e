"""The contract itself, and its page; nothing of it is fetched from elsewhere."""

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


@extend_schema(exclude=True)
class Schema(SpectacularAPIView):
    """JSON, unless YAML is asked for."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2]


class Page(SpectacularSwaggerSplitView):
    """Its script has an address of its own, for pages here have no inline ones."""

    url_name = "schema"
    template_name = "api/docs.html"
