"""Brakes: how often something may be tried, counted by all processes together.

Counts are kept in Redis, each for a window of time that begins with the first attempt. One script counts and begins the
window, so attempts that come at once, wherever they are served, are all counted.

Redis may be away, or slow: then it isn't asked again for some seconds, and each process counts by itself. No request
fails for it, and one every few seconds waits for a moment.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil
from typing import TypeVar

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac
from limits import (
    RateLimitItem,
    RateLimitItemPerDay,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
    RateLimitItemPerSecond,
)
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis import ConnectionError as NoConnection
from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from eventstore.conf import Setting
from eventstore.error_texts import describe

log = structlog.get_logger(__name__)

T = TypeVar("T")

PATIENCE = 0.25
"""Seconds that a request waits for Redis, to connect and to answer."""

PAUSE = 5.0
"""Seconds for which Redis isn't asked again after it didn't answer."""

UNITS = {
    "s": RateLimitItemPerSecond,
    "m": RateLimitItemPerMinute,
    "h": RateLimitItemPerHour,
    "d": RateLimitItemPerDay,
}


class Braked(Exception):
    """Something was tried too often."""

    def __init__(self, seconds: int) -> None:
        """It can be tried again after these `seconds`."""
        when = f"{seconds} seconds" if seconds < 120 else f"{ceil(seconds / 60)} minutes"
        super().__init__(f"There were too many attempts. Try again in {when}.")
        self.seconds = seconds


@dataclass(frozen=True)
class Brake:
    """Lets so many attempts of somebody's through in a time as a setting says, such as 60/min."""

    setting: Setting[str]

    def count(self, *who: str, alone: bool = True) -> None:
        """One more attempt; raises `Braked` where that is too many. If it isn't `alone`, it is let through where Redis
        is away.
        """
        if seconds := _counters().count(self._limit, self._key(who), alone=alone):
            raise Braked(seconds)

    def uncount(self, *who: str) -> None:
        """One attempt that was counted is none."""
        _counters().uncount(self._limit, self._key(who))

    @property
    def _limit(self) -> RateLimitItem:
        amount, _, unit = self.setting.get().partition("/")
        return UNITS[unit[0]](int(amount))

    def _key(self, who: tuple[str, ...]) -> str:
        return keyed(self.setting.name, *who)


class Counters:
    """The counts of all brakes, and what is remembered for a while, in the Redis at this address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._is_heard = True
        self._asked_again_at = 0.0

    def count(self, limit: RateLimitItem, key: str, *, alone: bool) -> int:
        """Counts, and answers how many seconds are to be waited for, mostly 0."""
        seconds = self._ask(lambda: _seconds_after(self._shared, limit, key))
        if seconds is None:
            return _seconds_after(self._own, limit, key) if alone else 0
        return seconds

    def uncount(self, limit: RateLimitItem, key: str) -> None:
        if self._ask(lambda: _uncounted(self._shared, limit, key)) is None:
            _uncounted(self._own, limit, key)

    def remember(self, key: str, seconds: float) -> None:
        self._ask(lambda: self._redis.set(_prefixed(key), 1, px=int(seconds * 1000)))

    def remembers(self, key: str) -> bool:
        """False where Redis is away, too."""
        return bool(self._ask(lambda: self._redis.exists(_prefixed(key))))

    @cached_property
    def _redis(self) -> Redis:
        once_more = Retry(NoBackoff(), 1, supported_errors=(NoConnection,))  # Redis may have been started anew
        pool = ConnectionPool.from_url(
            self._url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=once_more
        )
        return Redis(connection_pool=pool)

    @cached_property
    def _shared(self) -> FixedWindowRateLimiter:
        pool = self._redis.connection_pool
        return FixedWindowRateLimiter(RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX))

    def _ask(self, question: Callable[[], T]) -> T | None:
        """What Redis answers; None if it doesn't."""
        if time.monotonic() < self._asked_again_at:
            return None
        try:
            answer = question()
        except (RedisError, OSError, ValueError) as error:  # the last of an address that Redis can't have
            self._asked_again_at = time.monotonic() + PAUSE
            if self._is_heard:
                log.warning("brakes_not_shared", error=describe(error))
            self._is_heard = False
            return None
        if not self._is_heard:
            log.info("brakes_shared")
        self._is_heard = True
        return answer


PREFIX = "boxoffice:brakes"


def keyed(*parts: str) -> str:
    """A key of Redis that doesn't tell what it is about."""
    return salted_hmac("ordering.brakes", "\0".join(parts), algorithm="sha256").hexdigest()


def remember(*parts: str, seconds: float) -> None:
    """What these parts name was so, and that is known for so long; not where Redis is away or is emptied."""
    _counters().remember(keyed(*parts), seconds)


def remembers(*parts: str) -> bool:
    """Whether what these parts name was so lately."""
    return _counters().remembers(keyed(*parts))


def _counters() -> Counters:
    return _counters_at(settings.REDIS_URL)


@cache
def _counters_at(url: str) -> Counters:
    return Counters(url)


def _seconds_after(limiter: FixedWindowRateLimiter, limit: RateLimitItem, key: str) -> int:
    if limiter.hit(limit, key):
        return 0
    return max(1, ceil(limiter.get_window_stats(limit, key).reset_time - time.time()))


def _uncounted(limiter: FixedWindowRateLimiter, limit: RateLimitItem, key: str) -> int:
    return limiter.storage.incr(limit.key_for(key), limit.get_expiry(), amount=-1)


def _prefixed(key: str) -> str:
    return f"{PREFIX}:{key}"
