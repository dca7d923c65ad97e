"""The three apps bring admin pages that need nothing but Django's own admin."""

from pathlib import Path

import pytest

from tests.integration.plain import plain_project, run

VISIT = """
import sys
import django
django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from projections.models import Generation

client = Client()
client.force_login(User.objects.create_superuser(f"ada{User.objects.count()}"))
for model in admin.site._registry:
    if model._meta.app_label in {"eventstore", "projections", "sagas"}:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [reverse(f"{name}_changelist")]
        if first := model._default_manager.first():
            pages.append(reverse(f"{name}_change", args=[first.pk]))
        for page in pages:
            assert client.get(page).status_code == 200, page
        for wrong in ("q=sale", "q=%00", *(f"{field.name}__regex=(" for field in model._meta.concrete_fields)):
            assert client.get(f"{pages[0]}?{wrong}").status_code in {200, 302}, (pages[0], wrong)
from eventstore.models import ParkedEvent
name = "shelves"
subscriber = reverse("admin:eventstore_subscriber", args=[name])
assert client.get(subscriber).status_code == 200
search = reverse("admin:eventstore_search")
assert subscriber in client.get(search, {"q": name}).content.decode()
assert search in client.get(subscriber).content.decode()
for operation, said in (("pause", {}), ("verify", {}), ("verify", {"share": 1}), ("resume", {})):
    url = reverse("admin:eventstore_operation", args=[operation, name])
    assert client.get(url, said).status_code == 200, (operation, said)
    if said or operation != "verify":
        assert client.post(url, said, follow=True).redirect_chain == [(subscriber, 302)], (operation, said)
parked = ParkedEvent.objects.create(subscriber=name, key="k", position=1, error="KeyError", traceback="here")
assert "KeyError" in client.get(subscriber).content.decode()
for action in ("retry_selected", "discard_selected"):
    chosen = {"action": action, "_selected_action": [parked.pk]}
    page = client.post(reverse("admin:eventstore_parkedevent_changelist"), chosen)
    assert "Yes, " in page.content.decode(), action
from sagas.models import Delivery, Instance, OutboxCommand
saga = Instance.objects.all()[0]
page = client.get(reverse("admin:sagas_history", args=[saga.saga, saga.key])).content.decode()
assert 'data-step="send"' in page and "Commands that are not through" not in page
OutboxCommand.objects.update(status="parked", error="KeyError")
Delivery.objects.update(status="in doubt", error="KeyError")
for row, actions in (
    (OutboxCommand.objects.all()[0], ("retry_selected", "abandon_selected")),
    (Delivery.objects.all()[0], ("mark_selected_delivered", "redeliver_selected")),
):
    listed = reverse(f"admin:sagas_{row._meta.model_name}_changelist")
    assert "by error" in client.get(listed).content.decode()
    assert "/operate/" in client.get(f"{listed}{row.pk}/change/").content.decode()
    for action in actions:
        page = client.post(listed, {"action": action, "_selected_action": [row.pk]})
        assert "Yes, " in page.content.decode(), action
assert "Let this log act" not in client.get(reverse("admin:eventstore_logidentity_changelist")).content.decode()
for page in (reverse("admin:eventstore_event_types"), reverse("admin:eventstore_event_type", args=["book.lent"])):
    assert "book.lent" in client.get(page).content.decode(), page
page = client.get(reverse("admin:projections_generation_changelist")).content.decode()
for word in sys.argv[1:]:
    assert word in page, word
assert "unfold" not in sys.modules
print("visited")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "visit.py").write_text(VISIT)
    return plain_project(tmp_path)


def test_lists_pages_and_the_rebuild_button_work_without_unfold(project):
    run(project, "manage.py", "makemigrations", "library")
    run(project, "manage.py", "migrate")
    run(project, "manage.py", "lend")
    assert "visited" in run(project, "visit.py", "Rebuild", "Generations")
