"""`antiphon files`: documents into vector stores, what is in them, and what is found there.

Above: `entry`. Below: `files_add`, and the shelf that was asked for.
"""

import sys
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, Final

import anyio

from .endpoint import key_in
from .files_add import Adding, Failure, Report
from .files_bar import Bar
from .files_shelf import PATH, Shelf, Store, named
from .files_tree import Choice, Tree, find
from .options import FilesOptions, Where
from .paper import Paper
from .prose import harmless, json_text

_STORE: Final = "docs"
_LINES: Final = 6  # of a passage that is shown


def files(options: FilesOptions) -> int:
    """Do what was asked; 1 if a file cannot be searched.

    Raises:
        ConfigurationError: A path, a store or an option is not what it should be.
        AntiphonError: The stores cannot be reached.
        KeyboardInterrupt: Ctrl-C; it was said how to go on.
    """
    return anyio.run(_files, options)


async def _files(options: FilesOptions) -> int:
    tree = None
    if options.action == "add":
        choice = Choice(options.include, options.exclude, options.max_bytes)
        tree = find(options.paths, choice, name=options.name)
    async with aclosing(_shelf(options.where, make=tree is not None)) as shelf:
        if tree is not None:
            return await _add(shelf, tree, options)
        with Paper() as paper:
            if options.action == "search":
                return await _search(shelf, options, paper)
            return await _list(shelf, options, paper)


def _shelf(where: Where, *, make: bool) -> Shelf:
    """Where the stores are; only what is needed for it is imported."""
    if where.index is not None:
        from .files_index import IndexShelf

        return IndexShelf(where.index, where, make=make)
    from .files_wire import WireShelf

    return WireShelf(where.url or "", api_key=key_in(where.api_key_env))


async def _add(shelf: Shelf, tree: Tree, options: FilesOptions) -> int:
    store = await named(shelf, options.store or _STORE, make=True)
    await shelf.check(store)
    with Bar(silent=options.json) as bar:
        adding = Adding(shelf, store, options.attributes, bar)
        try:
            report = await adding.run(tree, prune=options.prune, sure=options.yes)
        except anyio.get_cancelled_exc_class():
            sys.stderr.write(
                f"interrupted: {adding.seen} of {len(tree.files)} files are sent, and in the store "
                f"{harmless(store.name)} ({store.id}); run the same command again to continue\n"
            )
            raise
    with anyio.CancelScope(shield=True):
        store = await shelf.store(store.id)
    with Paper() as paper:
        if options.json:
            _write(_told(report, store, tree))
        else:
            _print(paper, report, store, tree)
    return 1 if report.failures else 0


def _told(report: Report, store: Store, tree: Tree) -> dict[str, Any]:
    skipped = {"skipped": dict(tree.skipped), "too_large": tree.large}
    return {"store": asdict(store), **asdict(report), **skipped}


def _print(paper: Paper, report: Report, store: Store, tree: Tree) -> None:
    for each in report.failures:
        paper.line(_failed(each), style="red")
    for name in tree.large:
        paper.line(f"too large: {name} (--max-size MB takes larger ones)", style="yellow")
    counts = {
        "added": report.added,
        "replaced": report.replaced,
        "retried": report.retried,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": report.failures,
    }
    said = ", ".join(f"{len(these)} {what}" for what, these in counts.items() if these)
    passed = ", ".join(f"{number} {why}" for why, number in sorted(tree.skipped.items()))
    paper.line(f"{said or 'nothing to add'}{f'; skipped: {passed}' if passed else ''}")
    how = f"words and {store.model}" if store.model else "words"
    paper.line(f"{store.name} ({store.id}): {_files_of(store)}, searched by {how}", style="bold")


def _failed(each: Failure) -> str:
    return f"failed: {each.path}: {each.message} ({each.code})"


def _files_of(store: Store) -> str:
    more = {"could not be read": store.failed, "to be read": store.reading}
    told = "".join(f", {number:,} {what}" for what, number in more.items() if number)
    return f"{store.files:,} file{'' if store.files == 1 else 's'}{told}"


async def _list(shelf: Shelf, options: FilesOptions, paper: Paper) -> int:
    if options.store is None:
        stores = await shelf.stores()
        if options.json:
            _write([asdict(each) for each in stores])
        else:
            _rows(paper, ((each.name, each.id, _files_of(each)) for each in stores))
        return 0
    store = await named(shelf, options.store)
    kept = [each async for each in shelf.kept(store.id)]
    kept.sort(key=lambda each: (each.path or "", each.id))
    if options.json:
        _write([asdict(each) for each in kept])
    else:
        _rows(
            paper,
            (
                (
                    str(each.attributes.get(PATH) or each.id),
                    each.status,
                    each.error[1] if each.error else "",
                )
                for each in kept
            ),
        )
    return 0


def _rows(paper: Paper, rows: Iterable[tuple[str, str, str]]) -> None:
    listed = list(rows)
    first, second = (max((len(row[at]) for row in listed), default=0) for at in (0, 1))
    for row in listed:
        paper.line(f"{row[0]:<{first}}  {row[1]:<{second}}  {row[2]}".rstrip())
    if not listed:
        paper.line("there is nothing")


async def _search(shelf: Shelf, options: FilesOptions, paper: Paper) -> int:
    store = await named(shelf, options.store or _STORE)
    hits = await shelf.search(store.id, options.query, options.limit)
    if options.json:
        _write([asdict(each) for each in hits])
        return 0
    for each in hits:
        where = ", ".join(text for text in (each.name, each.place, each.heading) if text)
        paper.line(f"{each.score:.2f}  {where}", style="bold")
        lines = [line for line in each.text.splitlines() if line.strip()]
        more = ["..."] if len(lines) > _LINES else []
        for line in (*lines[:_LINES], *more):
            paper.line(f"      {line}")
    if not hits:
        paper.line("nothing was found")
    return 0


def _write(told: Any) -> None:
    sys.stdout.write(f"{json_text(told)}\n")
