"""Every test of the command line may run one, and serve something for it to talk to."""

from .kit import antiphon as antiphon, serving as serving
