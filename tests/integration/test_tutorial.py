"""The tutorial is true: every block is run in its order, and prints what the page says."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple
from urllib.parse import urlsplit

from redis import Redis

from tests.integration import packaging
from tests.integration.copying import empty

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
IN_THE_SHELL, BESIDE, ELSEWHERE = "# in the shell", "# in a second terminal", "# your own servers"
BETWEEN = "---- block"


class Block(NamedTuple):
    kind: str
    text: str

    @property
    def first(self) -> str:
        return self.text.partition("\n")[0]

    def as_script(self) -> str:
        """What a reader does with it; what is expected to be printed is done nothing with."""
        if self.kind == "text" or self.first == ELSEWHERE:
            return ":"
        if self.kind == "sh":
            return f"( {self.text} ) > worker.log 2>&1 &" if self.first.startswith(BESIDE) else self.text
        if self.first == IN_THE_SHELL:
            return f"printf %s {quote(self.text)} | python manage.py shell --no-imports"
        file = self.first.removeprefix("# ")
        return f"test -e {file}\nprintf %s {quote(self.text)} > {file}"


def blocks() -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)]


def test_the_tutorial_can_be_followed(tmp_path):
    url = os.environ["SPARE_DATABASE_URL"]
    empty(url)
    with Redis.from_url(os.environ["REDIS_URL"]) as broker:
        broker.flushdb()
    python = packaging.bare_environment(tmp_path / "env")  # which the page makes, then, where it is
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(getattr(sys, "_base_executable"))  # noqa: B009 - not in its stubs
    environment = packaging.variables(
        python,
        PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}",
        DATABASE_URL=url,
        BROKER_URL=os.environ["REDIS_URL"],
        TEST_DATABASE=urlsplit(url).path.removeprefix("/"),  # the role may make none
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(packaging.wheel().parent),
        PYTHONUNBUFFERED="1",
    )
    script = "set -eu\n" + "".join(f"{each.as_script()}\necho '{BETWEEN}'\n" for each in blocks())
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=200)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the worker as well
    log = tmp_path / "desk" / "worker.log"
    worker = log.read_text() if log.exists() else ""
    assert process.returncode == 0, said + worker
    printed = said.split(f"{BETWEEN}\n")
    for number, block in enumerate(blocks()):
        if block.kind == "text":
            missing = [line for line in block.text.splitlines() if line not in printed[number - 1]]
            assert missing == [], printed[number - 1]
    assert worker.count("Subject: We have your ticket") == 2, worker


def test_every_block_is_of_a_kind_that_is_run():
    kinds = {block.kind for block in blocks()}
    assert kinds == {"sh", "python", "text"}
    firsts = [block.first for block in blocks() if block.kind == "python"]
    assert all(first == IN_THE_SHELL or re.fullmatch(r"# helpdesk/\w+\.py", first) for first in firsts)
