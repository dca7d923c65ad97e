"""What goes wrong, one thing after the other: each is chosen by chance, and repaired after a while."""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from config.bundled.valkey import Valkey
from projections.errors import RebuildRunning
from projections.rebuild import generations
from sagas.models import Timer
from tests.chaos.installation import NAME, Installation
from tests.integration.eventstore import raw
from tests.integration.processes import MailServer

AWAY = (0.2, 4.0)
"""Seconds after which what was taken away comes back."""

REBUILT = ("order-summaries", "customer-profiles", "seat-availability")

_SESSIONS = """SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()
    AND usename = current_user AND (state <> 'idle' OR %s) ORDER BY pid"""


class Reaper:
    """Kills programs of an installation, and processes of their pools, and starts them again after a while.

    The same seed chooses the same ones; what they are at is up to the moment.
    """

    pause = (0.5, 3.0)
    """Seconds between one disturbance and the next."""

    kills_writers = False

    def __init__(self, seed: str, installation: Installation) -> None:
        self.random = random.Random(seed)
        self.installation = installation
        self.diary: list[str] = []
        self._begun = time.monotonic()
        self._later: list[tuple[float, int, str, Callable[[], None]]] = []
        self._number = itertools.count()

    def reap(self, meanwhile: Callable[[], bool]) -> None:
        """For as long as this is true."""
        self._disturb({self._kill: 2, self._maim: 1}, meanwhile)

    def calm(self) -> None:
        """Repair everything."""
        while self._later:
            _, _, what, act = heapq.heappop(self._later)
            self._do(what, act)

    def supervise(self) -> None:
        """Start again who ended without being killed."""
        for name in self.installation.restart_who_ended():
            self._note(f"start the {name}, which ended by itself")

    def _kill(self) -> None:
        spared = () if self.kills_writers else self.installation.writers
        prey = [name for name in self.installation.running if name not in spared]
        if not prey:
            return
        name = self.random.choice(prey)
        if name in self.installation.writers or self.random.random() < 0.6:
            self._do(f"kill the {name}", lambda: self.installation.kill(name))
        else:
            self._do(f"kill the main process of the {name}", lambda: self.installation.behead(name))
        self._soon(f"start the {name}", lambda: self.installation.start(name))

    def _maim(self) -> None:
        pools = [name for name in self.installation.running if name in ("worker", "effects", "rebuilder")]
        if pools:
            name, choice = self.random.choice(pools), self.random.random()
            self._do(f"kill a process of the {name}", lambda: self.installation.maim(name, choice))

    def _disturb(self, disturbances: Mapping[Callable[[], None], int], meanwhile: Callable[[], bool]) -> None:
        while meanwhile():
            self._catch_up()
            self.supervise()
            self.random.choices(list(disturbances), list(disturbances.values()))[0]()
            time.sleep(self.random.uniform(*self.pause))

    def _soon(self, what: str, *acts: Callable[[], None]) -> None:
        def all_of_them() -> None:
            for act in acts:
                act()

        self._at(self._elapsed() + self.random.uniform(*AWAY), what, all_of_them)

    def _at(self, moment: float, what: str, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (moment, next(self._number), what, act))

    def _catch_up(self) -> None:
        while self._later and self._later[0][0] <= self._elapsed():
            _, _, what, act = heapq.heappop(self._later)
            self._do(what, act)

    def _do(self, what: str, act: Callable[[], None]) -> None:
        self._note(what)
        act()

    def _note(self, what: str) -> None:
        self.diary.append(f"{self._elapsed():6.2f} {what}")

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun


class Havoc(Reaper):
    """Kills whoever there is, and disturbs an installation in every other way too."""

    pause = (0.1, 1.5)
    kills_writers = True

    def __init__(self, seed: str, installation: Installation, valkey: Valkey, mails: MailServer) -> None:
        super().__init__(seed, installation)
        self.valkey, self.mails = valkey, mails
        self._broker_is_there = True

    def rage(self, seconds: float) -> None:
        """For so long. Whatever chance brings, there are two rebuilds in two parts, and a verification."""
        self._at(seconds * 0.15, "rebuild orders", lambda: _rebuild("order-summaries"))
        self._at(seconds * 0.45, "verify orders", lambda: _verify("order-summaries"))
        self._at(seconds * 0.6, "rebuild customers", lambda: _rebuild("customer-profiles"))
        disturbances = {
            self._kill: 6,
            self._maim: 3,
            self._terminate: 10,
            self._freeze_broker: 2,
            self._kill_broker: 2,
            self._hold_mails: 1,
            self._fire_timers: 3,
            self._rebuild: 2,
            self._verify: 1,
        }
        self._disturb(disturbances, lambda: self._elapsed() < seconds)

    def _terminate(self) -> None:
        role, most = self.random.choice(("default", "default", "owner")), self.random.randint(1, 4)
        idle_too = self.random.random() < 0.6
        with raw.connect(role, autocommit=True) as connection:
            found = [pid for (pid,) in connection.execute(_SESSIONS, [NAME, idle_too])]
            chosen = self.random.sample(found, min(most, len(found)))
            self._note(f"terminate {len(chosen)} of {len(found)} sessions of the role {role}")
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [chosen])

    def _freeze_broker(self) -> None:
        if self._take_broker("freeze the broker", self.valkey.freeze):
            self._soon("thaw the broker", self.valkey.thaw, self._broker_returns)

    def _kill_broker(self) -> None:
        if self._take_broker("kill the broker", self.valkey.kill):
            self._soon("start the broker", self.valkey.start, self._broker_returns)

    def _hold_mails(self) -> None:
        self._do("hold the mails", lambda: setattr(self.mails, "hold", True))
        self._soon("refuse the mails that were held", lambda: setattr(self.mails, "hold", False))

    def _fire_timers(self) -> None:
        waiting = list(Timer.objects.filter(status="waiting").values_list("pk", flat=True)[:3])
        self._note(f"let {len(waiting)} timers be due")
        Timer.objects.filter(pk__in=waiting).update(due_at=datetime.now(UTC))

    def _rebuild(self) -> None:
        name = self.random.choice(REBUILT)
        self._do(f"rebuild {name}", lambda: _rebuild(name))

    def _verify(self) -> None:
        name = self.random.choice(REBUILT)
        self._do(f"verify {name}", lambda: _verify(name))

    def _take_broker(self, what: str, act: Callable[[], None]) -> bool:
        if not self._broker_is_there:
            return False
        self._broker_is_there = False
        self._do(what, act)
        return True

    def _broker_returns(self) -> None:
        self._broker_is_there = True


def _rebuild(name: str) -> None:
    """The clock finds what was asked for."""
    with suppress(RebuildRunning):
        generations.rebuild(name, parts=2, requested_by="chaos")


def _verify(name: str) -> None:
    with suppress(RebuildRunning):
        generations.verify(name, requested_by="chaos")
