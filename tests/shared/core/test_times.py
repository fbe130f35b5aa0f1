from shared.core.times import Times


def test_the_earliest_comes_first_and_nothing_that_was_taken_back() -> None:
    times = Times()
    for task_id, at_ms in (("a", 3), ("b", 1), ("c", 2), ("b", 5)):
        times.put(task_id, at_ms)
    times.drop("c")
    assert times.first() == 3
    assert times.due(4, 10) == ["a"]
    assert times.due(9, 10) == ["b"]
    assert times.first() is None


def test_no_more_are_taken_than_asked_for() -> None:
    times = Times()
    for at_ms in range(5):
        times.put(f"t{at_ms}", at_ms)
    assert times.due(9, 2) == ["t0", "t1"]
    assert times.first() == 2
