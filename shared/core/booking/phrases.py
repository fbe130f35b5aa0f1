"""A sentence from which known phrases are taken out: the rest is what was not understood."""

import re

_DROPPED = re.compile(r"[?!,;]|\.(?!\d)")


class Phrases:
    """What is left of a sentence.

    Attributes:
        text: In lower case, without punctuation, with single spaces.
    """

    def __init__(self, sentence: str) -> None:
        plain = _DROPPED.sub(" ", sentence.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        self.text = " ".join(plain.split())

    def take(self, pattern: re.Pattern[str], mark: str = " ") -> re.Match[str] | None:
        """Take out the first match of a pattern; what stands for it is ``mark``."""
        match = pattern.search(self.text)
        if match is not None:
            self.text = f"{self.text[: match.start()]} {mark} {self.text[match.end() :]}"
            self.text = " ".join(self.text.split())
        return match
