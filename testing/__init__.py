"""Conformance suites that others run against their own parts: one module for each seam.

`antiphon.testing.sandbox` for places where code runs, `antiphon.testing.tool` for tools,
`antiphon.testing.store` for stores. Not here: tests of antiphon itself.
"""
