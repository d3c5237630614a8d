"""Every test of the command line may run one, and serve something for it to talk to."""

from .kit import antiphon as antiphon, no_engine as no_engine, serving as serving
