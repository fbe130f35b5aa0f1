"""Deterministic simulation: the production engine in virtual time, under seeded faults.

``world.py`` builds a hub and some agents over in-memory SQLite. ``faults.py`` breaks them,
``workload.py`` uses them, ``ghost.py`` remembers what really happened, ``promises.py`` and
``healed.py`` compare. ``planted.py`` breaks single rules on purpose, to prove the comparison.

``dispatch_world.py`` is the same fleet at work: ``desk.py`` is the hub that deals, ``people.py``
are those who use it, ``robots.py`` are the devices, ``ground.py`` stands beside them and sees who
really acts. ``dispatch_bugs.py`` leaves out single rules of dispatch.

``booking_world.py`` is a site that books: ``bookers.py`` are the people, ``clerk.py`` is the hub
that decides, ``diary.py`` reads its journal and works out anew, by ``calendar_oracle.py``, what it
should have said. ``booking_bugs.py`` leaves out single rules of bookings.

``campaign.py`` plays many seeds of all three, for ``./dev simulate``.
"""
