"""The command line: `antiphon demo | chat | serve | mcp | check | run | files ...`.

Above: a person at a terminal, or a script that reads lines. Below: every other room. Not here:
anything that a program would want to call; `main` is the only name.

`parser` says what can be typed and imports nothing heavy, so that help is quick; each command
is one module, imported when it is asked for; `screen` shows events for all of them.
"""

from .entry import main as main
