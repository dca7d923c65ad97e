"""A file becomes commands: batch by batch, each in one transaction with what is known of its lines afterwards.

Whoever is killed loses nothing and repeats nothing: the same file goes on behind the last line that was decided. And as
the id of each command is made of the file's content and the line's number, a line that was imported is never imported
again, whatever became of its run.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID, uuid5

import msgspec
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from eventstore import advisory_locks, commands, conf, context, queries
from eventstore.aggregates import Command
from eventstore.database import Statement
from eventstore.errors import Busy
from eventstore.imports import batches
from eventstore.imports.batches import Outcome, Wish
from eventstore.imports.importer import Importer, LineRefused, importers
from eventstore.imports.lines import CSV, Fault, FileRefused, Format, Line, Lines
from eventstore.models import ClockTimestamp, ImportRun, RefusedLine
from eventstore.store import MOST_EVENTS
from eventstore.subscriptions.read_your_writes import Settled
from eventstore.subscriptions.registry import registry

AT_ONCE = 65_536
"""Bytes."""

NAMESPACE = UUID("5f3c1f6e-7b0a-5c55-9d0e-6a1d3d1d8b52")


class Refused(NamedTuple):
    """A line that is not imported, with what was written there and all that is wrong with it."""

    number: int
    content: Any
    faults: Sequence[Fault]


class Step(NamedTuple):
    """How far an import is: bytes that were read, the last line that was decided, and what became of lines so far."""

    read: int
    reached: int
    carried_out: int = 0
    repeated: int = 0
    refused: int = 0


class _Judged(NamedTuple):
    """A line and the command that it makes, or what is wrong with it."""

    line: Line
    wish: Wish | None
    faults: Sequence[Fault]


Decided = tuple[_Judged, Outcome | None]
"""A line, and what became of what it asked for, if it asked for something."""


def begin(
    importer: str,
    file: BinaryIO,
    *,
    name: str,
    written: Format,
    options: Mapping[str, Any],
    by: str,
    keep: bool = False,
    using: str = DEFAULT_DB_ALIAS,
) -> ImportRun:
    """The run of a file: a new one, or the one that was interrupted. One that has ended begins again, as does one that
    is to be read in another way: what was imported is passed over, what was refused is looked at once more.

    With `keep` its content is kept, so that workers carry it on. Raises `UnknownImporter`.
    """
    digest, size = _identity(file)
    how = {"written": msgspec.to_builtins(written), "options": dict(options)}
    told = {"name": name, "by": by, "size": size, "content": file.read() if keep else None, **how}
    file.seek(0)
    with transaction.atomic(using):
        runs = ImportRun.objects.using(using).select_for_update()
        run, made = runs.get_or_create(importer=importers[importer].name, digest=digest, defaults=told)
        if made or (run.ended_at is None and {"written": run.written, "options": run.options} == how):
            if keep and run.content is None:
                run.content = told["content"]
                run.save(update_fields=["content"])
            return run
        run.refused_lines.all().delete()
        fresh = {"read": 0, "reached": 0, "carried_out": 0, "repeated": 0, "refused": 0, "fault": "", "ended_at": None}
        runs.filter(pk=run.pk).update(**told, **fresh, began_at=ClockTimestamp(), moved_at=ClockTimestamp())
    return ImportRun.objects.using(using).get(pk=run.pk)


def carry_on(
    run: ImportRun, file: BinaryIO, *, seconds: float | None = None, using: str = DEFAULT_DB_ALIAS
) -> Generator[Step]:
    """Import what is left of a file, for so many seconds if they are given, and tell how far it is after every batch.

    Raises `Busy` if another process is at it, and `FileRefused`, which ends the run.
    """
    registry.make_rows(using=using)
    with advisory_locks.slot(advisory_locks.IMPORT, [str(run.pk)], using=using) as ours:
        if not ours:
            raise Busy("Another process is importing this file.")
        run.refresh_from_db()
        if run.ended_at:
            return
        with context.acting(correlation_id=run.pk, actor=run.by):
            yield from _Import(run, file, using).steps(seconds)


class DryRun:
    """What would become of a file: nothing is written, and the lines that would be refused are in `refused`.

    Raises `FileRefused`.
    """

    def __init__(
        self,
        importer: str,
        file: BinaryIO,
        written: Format,
        options: Mapping[str, Any],
        *,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        self._judge = _Judge(importers[importer], _identity(file)[0], file, written, options)
        self._using = using
        self.header, self.delimiter = self._judge.lines.header, self._judge.lines.delimiter
        self.refused: list[Refused] = []

    def steps(self) -> Generator[Step]:
        step = Step(0, 0)
        for chunk in self._judge.chunks(0):
            left: Sequence[_Judged] = chunk
            while left:
                wishes = [each.wish for each in left if each.wish]
                outcomes = batches.foresee(wishes, using=self._using) if wishes else ()
                decided, left = _decided(left, outcomes)
                refused = self._judge.refusals(decided)
                self.refused += refused
                step = self._judge.after(step, decided, refused)
                yield step


def kept_until(run: ImportRun) -> datetime:
    """When it is deleted, unless it goes on before."""
    return run.moved_at + timedelta(days=conf.IMPORTS_KEPT_DAYS.get())


def delete_old(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Delete the runs that are kept no longer, with their files and their refused lines."""
    kept = timedelta(days=conf.IMPORTS_KEPT_DAYS.get())
    ImportRun.objects.using(using).filter(moved_at__lt=ClockTimestamp() - kept).delete()


def delete_refused(run: ImportRun, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Delete the refused lines of a run that has ended. How many there were is still told."""
    RefusedLine.objects.using(using).filter(run=run, run__ended_at__isnull=False).delete()


def refused_of(run: ImportRun, *, most: int | None = None) -> Iterator[Refused]:
    """The lines of a run that were refused, in their order."""
    for row in run.refused_lines.order_by("number")[:most].iterator():
        faults = msgspec.json.decode(row.faults, type=list[Fault])
        yield Refused(row.number, msgspec.json.decode(row.content), faults)


class _Judge:
    """Lines of a file and what they ask for, in chunks of about as many as one transaction takes."""

    def __init__(
        self, importer: Importer, digest: str, file: BinaryIO, written: Format, options: Mapping[str, Any]
    ) -> None:
        self.importer, self.options, self._is_csv = importer, options, written.kind == CSV
        self._digest = f"{importer.name}/{digest}"
        self.lines = Lines(file, written, columns=importer.columns, needed=importer.needed)
        self.size = MOST_EVENTS
        self._seen: dict[int, int] = {}

    def chunks(self, after: int) -> Iterator[list[_Judged]]:
        lines = (line for line in self.lines if line.number > after)
        while chunk := list(islice(lines, self.size)):
            yield self._judged(chunk)

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """How many lines fill a transaction, as the last ones did."""
        events = sum(len(outcome.changes.events) for outcome in outcomes if outcome.changes)
        if events:
            self.size = max(1, MOST_EVENTS * len(outcomes) // events)

    def refusals(self, decided: Iterable[Decided]) -> list[Refused]:
        """Those of some lines that are refused."""
        found = ((each.line, self._faults(each, outcome)) for each, outcome in decided)
        return [Refused(line.number, line.content, faults) for line, faults in found if faults]

    def after(self, before: Step, decided: Sequence[Decided], refused: Sequence[Refused]) -> Step:
        """How far it is with some lines more, of which these are refused."""
        repeated = sum(outcome.repeated for _, outcome in decided if outcome)
        return Step(
            self.lines.read,
            decided[-1][0].line.number,
            before.carried_out + len(decided) - len(refused) - repeated,
            before.repeated + repeated,
            before.refused + len(refused),
        )

    def _judged(self, lines: Sequence[Line]) -> list[_Judged]:
        made = [self._made(line) for line in lines]
        places = [place for place, each in enumerate(made) if each.wish]
        asked: list[Command] = [each.wish.command for each in made if each.wish]
        for place, fault in self.importer.refused(asked).items():
            line = made[places[place]].line
            made[places[place]] = _Judged(line, None, [self._here(fault)])
        return made

    def _made(self, line: Line) -> _Judged:
        if line.faults:
            return _Judged(line, None, line.faults)
        command_id = uuid5(NAMESPACE, f"{self._digest}/{line.number}")
        values = self.importer.nested(line.values) if self._is_csv else line.values
        try:
            command = self.importer.command(uuid5(command_id, "stream"), values, self.options)
        except LineRefused as refused:
            return _Judged(line, None, [self._here(fault) for fault in refused.faults])
        return _Judged(line, Wish(command_id, command), ())

    def _here(self, fault: Fault) -> Fault:
        return fault._replace(column=self.importer.column_of(fault.column)) if self._is_csv else fault

    def _faults(self, judged: _Judged, outcome: Outcome | None) -> Sequence[Fault]:
        if outcome is None or outcome.repeated:
            return judged.faults
        if outcome.claim:
            return [self._taken(outcome.claim.scope, outcome.claim.value, judged.line.number, str(outcome.refusal))]
        if outcome.refusal:
            return [Fault("", str(outcome.refusal))]
        assert outcome.changes
        for claim in outcome.changes.claimed:
            before = self._seen.setdefault(hash((claim.scope, claim.value)), judged.line.number)
            if before != judged.line.number:
                return [self._taken(claim.scope, claim.value, judged.line.number, "")]
        return ()

    def _taken(self, scope: str, value: str, number: int, otherwise: str) -> Fault:
        """What another line has, or somebody who is no line of this file."""
        before = self._seen.get(hash((scope, value)), number)
        text = f"Line {before} has the same." if before != number else otherwise
        return self._here(Fault(self.importer.claims.get(scope, ""), text))


class _Import:
    """A run as one process carries it on."""

    def __init__(self, run: ImportRun, file: BinaryIO, using: str) -> None:
        self._run, self._using = run, using
        written = msgspec.convert(run.written, Format)
        try:
            self._judge = _Judge(importers[run.importer], run.digest, file, written, run.options)
        except FileRefused as refused:
            self._update(fault=str(refused), ended_at=ClockTimestamp(), content=None)
            raise
        self._step = Step(0, run.reached, run.carried_out, run.repeated, run.refused)

    def steps(self, seconds: float | None) -> Iterator[Step]:
        begun = time.monotonic()
        self._update(header=self._judge.lines.header, delimiter=self._judge.lines.delimiter)
        with _followed(self._using) as follow:
            for chunk in self._judge.chunks(self._run.reached):
                left: Sequence[_Judged] = chunk
                while left:
                    left = self._carry_out(left, follow)
                    yield self._step
                if seconds is not None and time.monotonic() - begun > seconds:
                    return
        self._update(read=self._run.size, ended_at=ClockTimestamp(), content=None)
        yield self._step._replace(read=self._run.size)

    def _carry_out(self, chunk: Sequence[_Judged], follow: Callable[[UUID, int], None]) -> Sequence[_Judged]:
        """As many as one transaction takes; answers those that are left."""
        wishes = [each.wish for each in chunk if each.wish]
        step = self._step

        def along(outcomes: Sequence[Outcome]) -> Sequence[Statement]:
            nonlocal step
            decided, _ = _decided(chunk, outcomes)
            refused = self._judge.refusals(decided)
            step = self._judge.after(self._step, decided, refused)
            return self._statements(step, refused)

        carried = batches.carry_out(wishes, along, using=self._using)
        self._step = step
        self._judge.learn(carried.outcomes)
        if carried.last and carried.position:
            follow(carried.last, carried.position)
        return _decided(chunk, carried.outcomes)[1]

    def _statements(self, step: Step, refused: Sequence[Refused]) -> Sequence[Statement]:
        kept = []
        if refused:
            rows = [
                (
                    each.number,
                    msgspec.json.encode(each.content).decode(),
                    msgspec.json.encode(each.faults).decode(),
                )
                for each in refused
            ]
            kept = [Statement(queries.KEEP_REFUSED, [self._run.pk, *map(list, zip(*rows, strict=True))])]
        return [*kept, Statement(queries.MOVE_IMPORT, [*step, self._run.pk])]

    def _update(self, **changed: Any) -> None:
        rows = ImportRun.objects.using(self._using).filter(pk=self._run.pk)
        rows.update(**changed, moved_at=ClockTimestamp())


@contextmanager
def _followed(using: str) -> Iterator[Callable[[UUID, int], None]]:
    """What has read models follow up to a command and its position, in a thread of their own: beside the next batch,
    and never further behind than that. In the end they have.
    """
    with ThreadPoolExecutor(1, "read models") as beside:
        followed: Future[Settled] | None = None

        def follow(command_id: UUID, position: int) -> None:
            nonlocal followed
            if followed:
                followed.result()
            followed = beside.submit(commands.settle, command_id, position, using=using)

        try:
            yield follow
            if followed:
                followed.result()
        finally:
            beside.submit(connections.close_all)


def _decided(chunk: Sequence[_Judged], outcomes: Sequence[Outcome]) -> tuple[list[Decided], Sequence[_Judged]]:
    """The first lines, with what became of those that asked for something; and the lines that are left."""
    decided = list[Decided]()
    known = iter(outcomes)
    for place, each in enumerate(chunk):
        outcome = next(known, None) if each.wish else None
        if each.wish and outcome is None:
            return decided, chunk[place:]
        decided.append((each, outcome))
    return decided, ()


def _identity(file: BinaryIO) -> tuple[str, int]:
    """What names a file, and its size in bytes."""
    digest = sha256()
    while part := file.read(AT_ONCE):
        digest.update(part)
    size = file.tell()
    file.seek(0)
    return digest.hexdigest(), size
