"""What installed packages offer: entry points, read where installers put them.

``importlib.metadata`` would tell the same. It takes an agent a megabyte and the start of a small
board a tenth of a second, for a few lines of text that are specified to be where they are.

Source: the entry points specification, packaging.python.org.
"""

import importlib
import re
import sys
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec

FILES = "*.dist-info/entry_points.txt"

_ENTRY = re.compile(r"(?P<name>[^=#]+?)\s*=\s*(?P<module>[\w.]+)(?::(?P<attributes>[\w.]+))?")


class Offer(msgspec.Struct, frozen=True):
    """An object that a package offers under a name."""

    name: str
    module: str
    attributes: str

    def load(self) -> Any:
        """Import and return it; raises whatever importing it raises."""
        found: Any = importlib.import_module(self.module)
        return reduce(getattr, filter(None, self.attributes.split(".")), found)


def offers(group: str, folders: Iterable[str] | None = None) -> tuple[Offer, ...]:
    """Return what packages on the import path offer to a group; of one name the first counts.

    Args:
        group: Such as ``skerry.handlers``.
        folders: Where packages are; None: where Python looks for them.
    """
    found: dict[str, Offer] = {}
    for folder in sys.path if folders is None else folders:
        for path in sorted(Path(folder).glob(FILES)):
            for offer in read(path.read_text(encoding="utf-8"), group):
                found.setdefault(offer.name, offer)
    return tuple(found.values())


def read(text: str, group: str) -> Iterable[Offer]:
    """Yield the entries of a group in the text of one file."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and (entry := _ENTRY.match(line)):
            yield Offer(entry["name"], entry["module"], entry["attributes"] or "")
