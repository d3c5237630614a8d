"""Start of the runner: makes this directory a private package, so no user module can meet it."""

import sys


def start() -> None:
    """Import the runner as `_antiphon_runner` and serve; never returns."""
    # `python <dir>` put this directory on the path: a user's `import display` must not find ours.
    here = sys.path.pop(0)
    package = type(sys)("_antiphon_runner")
    package.__path__ = [here]
    sys.modules["_antiphon_runner"] = package
    from importlib import import_module

    # A container has a zygote and, where no socket reaches in, relays; others only serve.
    module = {"--zygote": "zygote", "--relay": "relay"}.get("".join(sys.argv[1:2]), "serve")
    import_module(f"_antiphon_runner.{module}").main(sys.argv[1:])


start()
