"""Pure: MQTT topics, and filters with ``+`` and ``#``.

Source: MQTT 3.1.1, section 4.7.
"""

TOPIC_MAX = 512


def is_topic(text: str) -> bool:
    """Say whether a task may publish on it; ``$`` begins what belongs to the broker."""
    return 0 < len(text) <= TOPIC_MAX and text[0] != "$" and not any(c in text for c in "+#\0")


def is_filter(text: str) -> bool:
    """Say whether it is a topic in which ``+`` stands for one level and a last ``#`` for many."""
    levels = text.split("/")
    plain = [level for level in levels if level != "+"]
    if plain and levels[-1] == "#":
        plain.pop()
    return bool(text) and not any(c in level for level in plain for c in "+#\0")


def matches(filter_: str, topic: str) -> bool:
    """Say whether a topic is one of those that a filter means."""
    wanted, levels = filter_.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        one in ("+", level) for one, level in zip(wanted, levels, strict=True)
    )
