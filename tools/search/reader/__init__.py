"""The reader: any file as passages of text. Standard library (and pypdfium2 for PDF) alone.

It runs in a process of its own (`serve`), within limits of memory and time: what it reads was
sent by strangers. Above: `readers.py`, which starts it. Not here: anything else of antiphon.
"""
