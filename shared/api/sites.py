"""Which site a new record belongs to."""

from shared.api.context import NodeContext
from shared.errors import Invalid, Refused


def choose(context: NodeContext, site: str | None) -> str:
    """Return the site asked for; left out, the only one.

    Raises:
        Invalid: Left out, and there are several.
        Refused: This node does not serve it.
    """
    if site is None:
        if len(context.sites) != 1:
            choice = ", ".join(context.sites)
            raise Invalid(f"say which site: {choice}", (("$.site", f"one of {choice}"),))
        return context.sites[0]
    if site not in context.sites:
        raise Refused(f"this node does not serve site {site}", (("$.site", "not served here"),))
    return site
