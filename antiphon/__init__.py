"""antiphon: agents whose state is a list of Open Responses items."""

__version__ = "0.1.0"
