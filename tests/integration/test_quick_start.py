"""Every command of the page about the API, run as it stands there."""

import re
import subprocess

import pytest

from config.settings import BASE_DIR
from tests.integration import shop
from tests.integration.api.conftest import sites as sites  # noqa: PLC0414 - a fixture

PAGE = BASE_DIR / "docs" / "api.md"
STRICT = """set -euo pipefail
curl() { command curl --fail-with-body --show-error "$@"; }
"""


def commands():
    """In the order of the page, but that a dry run of cancelling comes before the order is cancelled."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) > 8
    (dry,) = (block for block in blocks if "cancel?dry_run" in block)
    blocks.remove(dry)
    cancelling = next(index for index, block in enumerate(blocks) if "/cancel" in block)
    return [*blocks[:cancelling], dry, *blocks[cancelling:]]


@pytest.fixture(scope="module")
def site(sites):
    with sites() as address:
        yield address


def test_every_command_of_the_page_does_what_it_says(site):
    shop.conference_on_sale()
    script = "".join(commands()).replace("http://localhost:8000", site)
    assert script.count("curl ") > 14
    done = subprocess.run(
        ["bash", "-c", STRICT + script], check=False, capture_output=True, text=True, timeout=120, cwd=BASE_DIR
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-500:])
    statuses = re.findall(r"HTTP/1.1 (\d+)", done.stdout)
    assert statuses.count("201") == 3  # a customer, and two orders
    assert set(statuses) == {"200", "201", "202"}
    assert re.search("}confirmed$", done.stdout, re.MULTILINE)
    assert '"to_be_returned"' in done.stdout
    assert re.search("}cancelled$", done.stdout, re.MULTILINE)
