"""What a database must hold besides its journal, worked out anew from the journal and the bases.

A journal may become durable before the tables that follow from it, and be folded again when it is
opened. ``differences`` does that work a second time, event by event and with none of the shortcuts
of a transaction, and compares: registers, sites, typed rows, side rows, counters, conflicts, scope,
the columns that history is found by, and the node's own counts.

At the hub all of it follows from the journal. At an agent a register follows from its base and the
own events in the journal; where the hub refused or parked one of those, the base may or may not
know of it yet, and either is right.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import msgspec

from shared.core import chain
from shared.core import event as events
from shared.core import register as registers
from shared.core.clock import Stamp, at_ms
from shared.core.event import Event
from shared.core.ids import conflict_id
from shared.core.kinds import KINDS, lane_of, record_kind
from shared.core.kinds.kind import Kind, Lane, Row, Table
from shared.core.kinds.task_bodies import Seat
from shared.core.policy import choose
from shared.core.record import Record
from shared.core.register import EMPTY, Register
from shared.core.vector import dominates
from shared.store import conflicts, database, scope, typed
from shared.store import node as nodes
from shared.store.journal import Verdict
from shared.store.node import Log, Node
from shared.store.typed import Tally
from tests.shared.counting import miscounted

JOURNAL = """SELECT entry, origin, seq, record, at, header, body, hash, verdict, verdict_at
    FROM journal ORDER BY entry"""
REGISTERS = "SELECT record, name, lane, position, shown, base FROM registers"
DOUBTS_MAX = 8  # refused or parked events of one register, of which each subset is tried

_seat = msgspec.msgpack.Decoder(Seat).decode

Name = tuple[int, str]  # row id of the record, register


class Line(NamedTuple):
    """One row of the journal."""

    entry: int
    log: Log
    record: int
    event: Event
    verdict: Verdict
    judged_at: int | None
    is_heard: bool

    @property
    def at_first(self) -> Verdict:
        """What the hub said when the event arrived."""
        is_again = self.judged_at is not None and self.judged_at != self.entry
        return Verdict.PARKED if is_again else self.verdict


class Shown(NamedTuple):
    """One row of the registers."""

    lane: int
    position: int
    register: Register
    base: Register | None


class Wanted(NamedTuple):
    """What a register must be, and the positions that its last change may have."""

    register: Register
    first: int
    last: int


def differences(db: sqlite3.Connection) -> list[str]:
    """Return in words what does not follow from the journal and the bases; call it at rest."""
    node = nodes.load(db)
    assert node is not None
    held = _Database(db, node)
    try:
        return list(held.differences())
    finally:
        held.close()


class _Database:
    """One database, read whole."""

    def __init__(self, db: sqlite3.Connection, node: Node) -> None:
        self._db = db
        self._node = node
        self._second = database.connect(":memory:")
        database.migrate(self._second)
        logs = {log.id: log for log in node.logs.values()}
        self._named: dict[int, tuple[str, str, str]] = {
            row: (kind, subject, site)
            for row, kind, subject, site in db.execute(
                "SELECT id, kind, subject, site FROM records"
            )
        }
        self._odd: list[str] = []
        self._lines = [self._line(logs, *row) for row in db.execute(JOURNAL)]
        self._shown = {
            (record, name): Shown(
                lane, position, registers.unpack(shown), registers.unpack(base) if base else None
            )
            for record, name, lane, position, shown, base in db.execute(REGISTERS)
        }
        held: defaultdict[int, dict[str, Register]] = defaultdict(dict)
        for (row, name), one in self._shown.items():
            held[row][name] = one.register
        self._records = {
            row: Record(kind, subject, site, held.get(row, {}))
            for row, (kind, subject, site) in self._named.items()
        }

    def close(self) -> None:
        """Drop what was written beside it, to compare with."""
        self._second.close()

    def differences(self) -> Iterator[str]:
        """Compare everything."""
        yield from self._odd
        yield from self._logs()
        yield from self._history()
        yield from self._counts()
        if self._node.is_hub:
            replay = _Replay(self._lines, self._named)
            yield from self._sites(replay.sites)
            yield from self._registers(replay.wanted)
            yield from self._sides(replay.applied, is_ordered=True)
            yield from self._scopes()
        else:
            yield from self._sites(_sites(self._lines, self._named))
            yield from self._pending()
            yield from self._sides(self._counted(), is_ordered=False)
        yield from self._rows()
        yield from miscounted(self._db)
        yield from self._conflicts()
        yield from self._losses()

    # ------------------------------------------------------------------ the journal itself

    def _line(
        self,
        logs: Mapping[int, Log],
        entry: int,
        origin: int,
        seq: int,
        record: int,
        at: int,
        header: bytes,
        body: bytes,
        digest: bytes | None,
        verdict: int,
        judged_at: int | None,
    ) -> Line:
        """Read a row; what history finds it by must be what its bytes say."""
        event = events.read(header, body)
        said = event.header
        log = logs[origin]
        if (log.name, seq, at) != (said.origin, said.seq, said.at):
            self._odd.append(f"entry {entry} is filed as {log.name} {seq}, not as {event.dot}")
        if self._named.get(record, ())[:2] != (record_kind(said.kind), said.subject):
            self._odd.append(f"{event.dot} is filed under another record than {said.subject}")
        return Line(entry, log, record, event, Verdict(verdict), judged_at, is_heard=digest is None)

    def _logs(self) -> Iterator[str]:
        """Heads and hashes are those of the events."""
        found: dict[str, tuple[int, bytes]] = {}
        hashes = dict(self._db.execute("SELECT entry, hash FROM journal WHERE hash IS NOT NULL"))
        for line in sorted(self._lines, key=lambda one: one.event.header.seq):
            if line.is_heard:
                continue
            head, digest = found.get(line.log.name, (0, chain.GENESIS))
            linked = chain.link(digest, line.event.header_bytes, line.event.body_bytes)
            if line.event.header.seq != head + 1 or hashes[line.entry] != linked:
                yield f"{line.event.dot} does not continue {line.log.name} {head}"
            found[line.log.name] = (line.event.header.seq, linked)
        for name, log in self._node.logs.items():
            if (log.head, log.hash) != found.get(name, (0, chain.GENESIS)):
                yield f"the head of {name} is {log.head}, its events end at {found.get(name)}"

    def _history(self) -> Iterator[str]:
        """Each event is found by its record and its time."""
        wanted = {(n.record, n.event.header.at, n.entry) for n in self._lines}
        found = set(self._db.execute("SELECT record, at, entry FROM history"))
        for record, at, entry in wanted ^ found:
            yield f"history has entry {entry} of record {record} at {at} or lacks it"

    def _counts(self) -> Iterator[str]:
        """No position, stamp or number is given out twice."""
        node = self._node
        ends = (line.judged_at or line.entry for line in self._lines)
        position = max([*ends, *(one.position for one in self._shown.values())], default=0)
        if node.position < position:
            yield f"the node is at position {node.position}, but has given {position}"
        own = [n.event.header.at for n in self._lines if n.log.own == nodes.OWN_NOW]
        if node.stamp < max(own, default=0):
            yield f"the node's stamp {node.stamp} is older than what it wrote"
        parked = sum(n.verdict is Verdict.PARKED for n in self._lines if n.judged_at is not None)
        if node.parked != parked:
            yield f"the node counts {node.parked} parked events, not {parked}"

    # ------------------------------------------------------------------ registers

    def _sites(self, wanted: Mapping[int, str]) -> Iterator[str]:
        for row, (kind, subject, site) in self._named.items():
            if row in wanted and wanted[row] != site:
                yield f"{kind} {subject} is of site {site!r}, not {wanted[row]!r}"

    def _registers(self, wanted: Mapping[Name, Wanted]) -> Iterator[str]:
        """Hub: the journal alone says what each register is, and when it changed last."""
        for name in wanted.keys() | self._shown.keys():
            due, one = wanted.get(name), self._shown.get(name)
            if due is None or one is None:
                yield f"{self._words(name)} is {'missing' if due else 'of no event'}"
            elif one.register != due.register:
                yield f"{self._words(name)} is not the fold of its events"
            elif not due.first <= one.position <= due.last:
                yield f"{self._words(name)} changed at {due.first}, not at {one.position}"
            elif one.lane != lane_of(self._named[name[0]][0]):
                yield f"{self._words(name)} is in lane {one.lane}"

    def _pending(self) -> Iterator[str]:
        """Agent: a register is its base, folded with own events that the hub has not judged."""
        own: defaultdict[Name, list[Line]] = defaultdict(list)
        for line in self._lines:
            if line.log.own != nodes.OTHER:
                own[line.record, line.event.header.register].append(line)
        for name in own.keys() | self._shown.keys():
            one = self._shown.get(name)
            if one is None:
                yield f"{self._words(name)} is missing"
                continue
            if not _is_base_and_pending(one, own.get(name, [])):
                yield f"{self._words(name)} is not its base and what is pending"
            if one.base is not None and not dominates(one.register.refused, one.base.refused):
                yield f"{self._words(name)} forgets what was refused"
            written = [n.entry for n in own.get(name, []) if n.verdict is not Verdict.REFUSED]
            if one.position < max(written, default=0):
                yield f"{self._words(name)} changed at {written[-1]}, not at {one.position}"
            if one.lane != lane_of(self._named[name[0]][0]):
                yield f"{self._words(name)} is in lane {one.lane}"

    def _words(self, name: Name) -> str:
        kind, subject, _ = self._named.get(name[0], ("a record", "without name", ""))
        return f"{kind} {subject} {name[1]}"

    # ------------------------------------------------------------------ rows

    def _rows(self) -> Iterator[str]:
        """Typed rows are their records; written by production into a database of their own."""
        for kind in KINDS.values():
            mine = [r for r in self._records.values() if r.kind == kind.name and r.registers]
            typed.write(self._second, kind.table, ((None, kind.row(r)) for r in mine), Tally())
            yield from self._compare(kind.table, _table(self._second, kind.table), {})
            if kind.parts is not None:
                for record in mine:
                    typed.replace(self._second, kind.parts, (), kind.part_rows(record))
                yield from self._compare(kind.parts, _table(self._second, kind.parts), {})

    def _counted(self) -> list[Event]:
        """Agent: own events but those refused, and what it heard that is more than parked."""
        opaque = {
            event.dot
            for one in self._shown.values()
            for event in (one.base.parked if one.base else ())
        }
        return [
            line.event
            for line in self._lines
            if (line.verdict is not Verdict.REFUSED and not line.is_heard)
            or (line.is_heard and line.event.dot not in opaque)
        ]

    def _sides(self, applied: Iterable[Event], *, is_ordered: bool) -> Iterator[str]:
        """Side rows are those of the events that count.

        An agent hears of events in no order of its own: any row that an event makes will do there,
        but one that says how something ended goes before one that does not.
        """
        made: defaultdict[Table, list[Row]] = defaultdict(list)
        for event in applied:
            kind = KINDS.get(record_kind(event.header.kind))
            for side in kind.side_rows(event, None) if kind else ():
                made[side.table].append(side.row)
        for table in (t for kind in KINDS.values() for t in kind.side_tables):
            tally = Tally()
            typed.upsert(self._second, table, made[table], tally)
            tally.write(self._second)
            also = {} if is_ordered else _alternatives(table, made[table])
            yield from self._compare(table, _table(self._second, table), also)

    def _compare(
        self, table: Table, wanted: Mapping[Row, Row], also: Mapping[Row, set[Row]]
    ) -> Iterator[str]:
        held = _table(self._db, table)
        for key in wanted.keys() | held.keys():
            due, row = wanted.get(key), held.get(key)
            if due != row and row not in also.get(key, ()):
                yield f"{table.name}: {row} stands for {due}"

    # ------------------------------------------------------------------ conflicts

    def _conflicts(self) -> Iterator[str]:
        """A conflict is open while its register is; of one that is over only history tells more."""
        kept = {
            row_id: rest
            for row_id, *rest in self._db.execute(
                "SELECT id, site, kind, subject, register, status, since, position FROM conflicts"
            )
        }
        for (row, name), one in self._shown.items():
            record = self._records[row]
            kind = KINDS.get(record.kind)
            if kind is None or kind.policy(name) is None:
                continue
            row_id = conflict_id(record.site, record.kind, record.subject, name)
            said = kept.pop(row_id, None)
            yield from self._conflict(kind, record, name, one, said)
        yield from (f"{row_id} is a conflict of no register" for row_id in kept)

    def _conflict(
        self, kind: Kind, record: Record, name: str, one: Shown, said: list[object] | None
    ) -> Iterator[str]:
        told = f"the conflict of {record.subject} {name}"
        is_open = conflicts.is_open(kind, one.register)
        if said is None:
            if is_open:
                yield f"{told} has no row"
            return
        *named, status, since, position = said
        if named != [record.site, record.kind, record.subject, name]:
            yield f"{told} is filed under {named}"
        if (status == "open") != is_open:
            yield f"{told} is {status}"
        if is_open and position != one.position:
            yield f"{told} changed at {one.position}, not at {position}"
        stamps = {
            at_ms(Stamp(line.event.header.at))
            for line in self._lines
            if line.event.header.subject == record.subject
        }
        if since not in stamps:
            yield f"{told} is open since {since}, when nothing happened"

    def _losses(self) -> Iterator[str]:
        """What shows behind another value now has lost, and for ever."""
        dots = {tuple(row) for row in self._db.execute("SELECT origin, seq FROM losses")}
        for (row, name), one in self._shown.items():
            kind = KINDS.get(self._records[row].kind)
            policy = kind.policy(name) if kind else None
            if kind is None or policy is None or len(one.register.siblings) < 2:
                continue
            top = choose(one.register.siblings, policy, kind.severity)
            for event in one.register.siblings:
                is_loser = top is not None and kind.value(event) != kind.value(top)
                if is_loser and (event.header.origin, event.header.seq) not in dots:
                    yield f"{event.dot} has lost, and no row says so"

    # ------------------------------------------------------------------ scope

    def _scopes(self) -> Iterator[str]:
        """Hub: a record of the control lane concerns its devices, and with it its predecessors."""
        kept = {
            (device, row) for device, row in self._db.execute("SELECT device, record FROM scope")
        }
        rows = {(kind, subject): row for row, (kind, subject, _) in self._named.items()}
        born: dict[int, int] = {}
        for line in self._lines:
            born.setdefault(line.record, line.entry)
        changed: dict[int, int] = {}
        for (row, _), shown in self._shown.items():
            changed[row] = max(shown.position, changed.get(row, 0))
        allowed: set[tuple[str, int]] = set()
        for row, record in self._records.items():
            kind = KINDS.get(record.kind)
            if kind is None or kind.lane is not Lane.CONTROL:
                continue
            devices = set(kind.devices(record)) - {self._node.device}
            once = devices | self._had(row)
            if kind.window(record) is not None:
                once.add(scope.everybody(record.site))
            others = [
                rows[record.kind, s] for s in kind.related(record) if (record.kind, s) in rows
            ]
            allowed |= {(device, one) for device in once for one in (row, *others)}
            due = {row} | {one for one in others if born.get(one, 0) < changed.get(row, 0)}
            for device, other in {(device, one) for device in devices for one in due} - kept:
                yield f"{self._named[other][1]} does not concern {device}"
        for device, row in kept - allowed:
            yield f"{self._named[row][1]} concerns {device}, which never had to do with it"

    def _had(self, row: int) -> set[str]:
        """Return who ever had to do with a task: a fork of its seat may show fewer."""
        found: set[str] = set()
        for line in self._lines:
            header = line.event.header
            if line.record == row and header.kind == "task.submitted":
                found.add(events.device_of(header.origin))
            elif line.record == row and header.kind == "task.allocated":
                found.update(_seat(line.event.body_bytes).holders)
        return found - {self._node.device}


class _Replay:
    """The hub's journal, folded again in the order of its positions.

    Attributes:
        wanted: What each register must be.
        sites: Site of each record.
        applied: Events that count, in the order in which they began to.
    """

    def __init__(self, lines: list[Line], named: Mapping[int, tuple[str, str, str]]) -> None:
        self.wanted: dict[Name, Wanted] = {}
        self.sites: dict[int, str] = dict.fromkeys(named, "")
        self.applied: list[Event] = []
        steps = [(line.entry, False, line) for line in lines]
        steps += [
            (line.judged_at, True, line)
            for line in lines
            if line.judged_at is not None and line.judged_at != line.entry
        ]
        self._names: defaultdict[int, list[str]] = defaultdict(list)
        before = 0
        for position, is_again, line in sorted(steps, key=lambda step: step[:2]):
            if is_again:
                self._again(position, line)
            else:
                self._settle(line, before)
                self._fold(position, line, line.at_first)
            before = position

    def _settle(self, line: Line, before: int) -> None:
        """The first event of its log's site says where a record belongs; all of it is told anew."""
        if self.sites[line.record] or line.event.header.site != line.log.site:
            return
        self.sites[line.record] = line.log.site
        for name in self._names[line.record]:
            held = self.wanted[line.record, name]
            self.wanted[line.record, name] = Wanted(held.register, before + 1, line.entry - 1)

    def _again(self, position: int, line: Line) -> None:
        held = self.wanted[line.record, line.event.header.register].register
        if any(one.dot == line.event.dot for one in held.parked):  # else superseded meanwhile
            self._fold(position, line, line.verdict)

    def _fold(self, position: int, line: Line, verdict: Verdict) -> None:
        name = line.record, line.event.header.register
        if name not in self.wanted:
            self._names[line.record].append(name[1])
        held = self.wanted[name].register if name in self.wanted else EMPTY
        if verdict is Verdict.PARKED:
            now = registers.park(held, line.event)
        elif verdict is Verdict.REFUSED:
            now = registers.refuse(held, line.event)
        else:
            now = registers.fold(held, line.event)
            self.applied.append(line.event)
        self.wanted[name] = Wanted(now, position, position)


def _sites(lines: list[Line], named: Mapping[int, tuple[str, str, str]]) -> dict[int, str]:
    """Return the site of each record of which an agent holds an event that says it."""
    found: dict[int, str] = {}
    for line in lines:
        if line.record in named and line.event.header.site == line.log.site:
            found.setdefault(line.record, line.log.site)
    return found


def _is_base_and_pending(one: Shown, own: list[Line]) -> bool:
    """Say whether a register is its base with own events.

    Folding one that the base holds already changes nothing, so all that were plainly applied may
    be folded. Of those refused or parked a base holds what the hub made of them; without a base,
    what was refused is gone.
    """
    if one.base is None:
        left = [line for line in own if line.verdict is not Verdict.REFUSED]
        return _is_fold(one.register, EMPTY, left)
    doubtful = [line for line in own if line.judged_at is not None]
    sure = [line for line in own if line.judged_at is None]
    if len(doubtful) > DOUBTS_MAX:
        return True
    return any(
        _is_fold(one.register, one.base, [*sure, *some])
        for count in range(len(doubtful) + 1)
        for some in combinations(doubtful, count)
    )


def _is_fold(shown: Register, base: Register, own: Iterable[Line]) -> bool:
    for line in own:
        base = registers.fold(base, line.event)
    return (shown.siblings, shown.parked, dict(shown.cover)) == (
        base.siblings,
        base.parked,
        dict(base.cover),
    )


def _alternatives(table: Table, made: Iterable[Row]) -> dict[Row, set[Row]]:
    """Return the rows that may stand under each key, whichever event came last."""
    found: defaultdict[Row, set[Row]] = defaultdict(set)
    settled: defaultdict[Row, set[Row]] = defaultdict(set)
    for row in made:
        found[row[: table.key]].add(row)
        if table.settled and row[table.columns.index(table.settled)] is not None:
            settled[row[: table.key]].add(row)
    return {**found, **settled}


def _table(db: sqlite3.Connection, table: Table) -> dict[Row, Row]:
    columns = ", ".join(table.columns)
    return {row[: table.key]: row for row in db.execute(f"SELECT {columns} FROM {table.name}")}
