"""What the tests of the provider share."""

from .serving import serving as serving
