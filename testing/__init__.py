"""Conformance suites that others run against their own parts: one module for each seam.

`provider` for any server of the protocol (`antiphon conformance` is this one), `store` and `files`
for what a Provider keeps, `search` for search engines, `sandbox` for places where code runs, and
`tool` for hosted tools. All but `provider` are made of assert statements, which `python -O` leaves
out: run them without it. Not here: tests of antiphon itself.
"""
