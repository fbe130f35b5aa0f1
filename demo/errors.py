"""What can go wrong in a demo."""


class DemoFailed(Exception):
    """Something did not happen as the story says; the text is for the person who watches."""


def require(condition: bool, otherwise: str) -> None:
    """Raise DemoFailed with ``otherwise`` unless the condition holds."""
    if not condition:
        raise DemoFailed(otherwise)
