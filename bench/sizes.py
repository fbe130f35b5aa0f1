"""How much a run measures."""

import msgspec


class Sizes(msgspec.Struct, frozen=True):
    """Sizes of one run.

    Attributes:
        repetitions: Samples of each figure.
        probe_s: Of each fsync probe, seconds.
        rate_s: Of each sample of a rate, seconds.
        tasks: A sample, of ours and of the peer's.
        tasks_alone: A sample, where one task runs at a time.
        backlog: Events that an agent has for the hub.
        idle_s: How long the idle agent is watched, seconds.
        settle_s: How long it is left alone before that, seconds.
        outage_s: How long the hub is away in the longer outage, seconds.
        few_tasks: Tasks of the smaller hub that is asked for lists and counts.
        many_tasks: Of the larger one.
        questions: How often each question is asked for a sample.
        waiting: Tasks that wait on one device.
        decisions: Decisions over them, a sample.
        bookings: Bookings of the hub that is asked for free times.
        resources: What they are of.
    """

    repetitions: int = 5
    probe_s: float = 0.3
    rate_s: float = 1.0
    tasks: int = 2000
    tasks_alone: int = 300
    backlog: int = 50_000
    idle_s: float = 20.0
    settle_s: float = 3.0
    outage_s: float = 3.0
    few_tasks: int = 10_000
    many_tasks: int = 1_000_000
    questions: int = 200
    waiting: int = 100_000
    decisions: int = 2000
    bookings: int = 1_000_000
    resources: int = 1000


FULL = Sizes()
QUICK = Sizes(
    repetitions=2,
    probe_s=0.1,
    rate_s=0.3,
    tasks=300,
    tasks_alone=50,
    backlog=5000,
    idle_s=3.0,
    settle_s=1.0,
    outage_s=1.0,
    few_tasks=1000,
    many_tasks=20_000,
    questions=50,
    waiting=5000,
    decisions=300,
    bookings=20_000,
    resources=40,
)
