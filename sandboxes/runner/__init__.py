"""The runner: the program inside every sandbox. Standard library only; it runs alone.

It is started as `python -I <this directory> --stdio` and meets nothing of antiphon. The host
imports two leaves of it, `frames` (the wire) and `names` (what a file may be called), so that
both ends speak from one page; nobody imports the rest. Python 3.9 and later.
"""
