"""Every call that the API has."""

from collections.abc import Iterable, Iterator

from django.urls import URLPattern, URLResolver, get_resolver

from ordering.api.views import View


def views(patterns: Iterable[URLPattern | URLResolver] | None = None, at: str = "") -> Iterator[tuple[str, type[View]]]:
    """Each view with its path."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns, at + str(pattern.pattern))
        else:
            view = getattr(pattern.callback, "cls", None)
            if isinstance(view, type) and issubclass(view, View):
                yield at + str(pattern.pattern), view


def calls() -> Iterator[str]:
    """Each call as `GET /orders/<order_id>`."""
    for path, view in views():
        below = path.removeprefix("api/v1").replace("<id:", "<").replace("<int:", "<").replace("<str:", "<")
        yield from (f"{method.upper()} {below}" for method in view.http_method_names if _has(view, method))


def _has(view: type[View], method: str) -> bool:
    return method != "head" and hasattr(view, method)
