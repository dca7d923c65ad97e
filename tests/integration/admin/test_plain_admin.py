"""The three apps bring admin pages that need nothing but Django's own admin."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).parent.parent.parent.parent

SETTINGS = """

INSTALLED_APPS = [
    *(f"django.contrib.{app}" for app in ("admin", "auth", "sessions", "messages", "staticfiles")), *INSTALLED_APPS
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
ROOT_URLCONF, STATIC_URL, ALLOWED_HOSTS = "plain", "static/", ["testserver"]
"""

URLS = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""

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
page = client.get(reverse("admin:projections_generation_changelist")).content.decode()
for word in sys.argv[1:]:
    assert word in page, word
assert "unfold" not in sys.modules
print("visited")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(BASE_DIR / "tests" / "portable", tmp_path, dirs_exist_ok=True)
    for app in ("eventstore", "projections", "sagas"):
        shutil.copytree(BASE_DIR / app, tmp_path / app, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    (tmp_path / "plain.py").write_text(URLS)
    (tmp_path / "visit.py").write_text(VISIT)
    return tmp_path


def run(project: Path, *arguments: str) -> str:
    command = ["env", "DJANGO_SETTINGS_MODULE=settings", sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lists_pages_and_the_rebuild_button_work_without_unfold(project):
    run(project, "manage.py", "makemigrations", "library")
    run(project, "manage.py", "migrate")
    run(project, "manage.py", "lend")
    assert "visited" in run(project, "visit.py", "Rebuild", "Generations")
