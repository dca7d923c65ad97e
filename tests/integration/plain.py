"""A bare project with the three apps, a small domain of its own, and Django's own admin."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.copying import empty
from tests.integration.packaging import install

BASE_DIR = Path(__file__).parent.parent.parent

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
ROOT_URLCONF, STATIC_URL, ALLOWED_HOSTS = "plain", "static/", ["testserver", "127.0.0.1"]
"""

URLS = """
from django.contrib import admin
from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("favicon.ico", lambda request: HttpResponse(status=204)),  # which every browser asks for
]
"""


def plain_project(folder: Path) -> Path:
    """Makes it in this folder, on a database with nothing in it."""
    empty(os.environ["SPARE_DATABASE_URL"])
    shutil.copytree(BASE_DIR / "tests" / "portable", folder, dirs_exist_ok=True)
    install(folder)
    with (folder / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    (folder / "plain.py").write_text(URLS)
    return folder


def run(project: Path, *arguments: str) -> str:
    """What a program of the project prints."""
    command = ["env", "DJANGO_SETTINGS_MODULE=settings", sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
