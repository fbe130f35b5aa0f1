"""What does not fit is named by its place, with what would do."""

import pytest

from shared.api import body
from shared.api.task_submission import Submission
from shared.errors import Invalid

ID = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3a"


@pytest.mark.parametrize(
    ("given", "path", "remedy"),
    [
        ('"priority": "urgent"', "$.priority", "take critical, high, low, normal"),
        ('"on_orphan": "no"', "$.on_orphan", "take requeue, resume, ask"),
        (f'"after": [{{"task": "{ID}", "on": "x"}}]', "$.after[0].on", "take success, end"),
        (
            '"checks": [{"name": "a", "ask": {}, "if_unreachable": "maybe"}]',
            "$.checks[0].if_unreachable",
            "take wait, proceed, fail",
        ),
        ('"id": "abc"', "$.id", "write a UUIDv7"),
        ('"after": ["abc"]', "$.after[0]", "write a UUIDv7"),
        ('"device": "A B"', "$.device", "write a name of small letters"),
        ('"locks": ["LIFT"]', "$.locks[0]", "after local: if it is the device's own"),
        (r'"title": "two\nlines"', "$.title", "write one line"),
        ('"deadline": "2026-12-01"', "$.deadline", "such as 2026-12-01T08:00:00Z"),
        ('"deadline": "2026-12-01T08:00:00"', "$.deadline", "write the offset as well"),
        ('"max_attempts": 0', "$.max_attempts", "write a whole number, at least 1"),
        ('"max_attempts": 101', "$.max_attempts", "write a whole number, at most 100"),
        ('"start_to_close_s": "5"', "$.start_to_close_s", "write a number or null, not text"),
        ('"group": 5', "$.group", "write text or null, not a whole number"),
        ('"locks": "lift"', "$.locks", "write a list, not text"),
        ('"unique": ""', "$.unique", "write text of at least 1 character"),
        ('"payload": []', "$.payload", "write an object or null, not a list"),
        ('"deadline": "2026-02-30T08:00:00Z"', "$.deadline", "a date and time that there is"),
        ('"titel": "x"', "$.titel", "unknown field"),
    ],
)
def test_a_misfit_is_told_with_what_would_do(given: str, path: str, remedy: str) -> None:
    with pytest.raises(Invalid) as refused:
        body.decode(f'{{"command": "echo", {given}}}'.encode(), Submission)
    ((where, message),) = refused.value.places
    assert where == path
    assert remedy in message
