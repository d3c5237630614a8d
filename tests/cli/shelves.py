"""What the tests of `antiphon files` share: folders, and the two places where stores can be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from antiphon.models import ScriptedModel
from antiphon.provider import Provider
from antiphon.tools import FileSearch

from .kit import Outcome, Run, Serving

KEY = "sk-secret"
BROKEN = b"%PDF-1.7 and no more"


@dataclass(frozen=True)
class Shop:
    """The command, and where its stores are."""

    run: Run
    where: tuple[str, ...]
    url: str | None = None

    def add(self, *argv: str) -> Outcome:
        return self.run("files", "add", *argv, *self.where)

    def added(self, *argv: str, code: int = 0) -> dict[str, Any]:
        """The report."""
        done = self.add(*argv, "--json")
        assert done.code == code, done
        assert done.err == ""
        return json.loads(done.out)

    def found(self, query: str, store: str = "docs") -> list[dict[str, Any]]:
        done = self.run("files", "search", query, "--store", store, "--json", *self.where)
        assert done.code == 0, done
        return json.loads(done.out)

    def listed(self, store: str = "docs") -> dict[str, dict[str, Any]]:
        """The files of a store, by their paths; each has to be there once."""
        done = self.run("files", "ls", "--store", store, "--json", *self.where)
        assert done.code == 0, done
        files: list[dict[str, Any]] = json.loads(done.out)
        by_path = {str(each["attributes"].get("path", each["id"])): each for each in files}
        assert len(by_path) == len(files), files
        return by_path

    def uploads(self) -> int | None:
        """How many files the provider keeps; None for an index."""
        if self.url is None:
            return None
        headers = {"authorization": f"Bearer {KEY}"}
        return len(httpx2.get(f"{self.url}/files", headers=headers).json()["data"])


def shop_of(kind: str, run: Run, serving: Serving, folder: Path, monkeypatch: Any) -> Shop:
    """A shop of one of both kinds, empty."""
    if kind == "index":
        return Shop(run, ("--index", str(folder / "docs.db")))
    monkeypatch.setenv("SHOP_KEY", KEY)
    app = Provider(models=[ScriptedModel(["x"])], tools=[FileSearch()], api_keys={KEY: "alice"})
    url = f"{serving(app)}/v1"
    return Shop(run, ("--url", url, "--api-key-env", "SHOP_KEY"), url)


def tree(folder: Path, files: Mapping[str, bytes | str]) -> str:
    """A folder with these files in it; its path."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(folder)
