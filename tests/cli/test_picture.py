"""Pictures: out of a data URL, into a file that is nobody else's."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from cli.picture import decoded, saver
else:
    from antiphon.cli.picture import decoded, saver

PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("url", "kind", "data"),
    [
        (PNG, "image/png", b"\x89PNG"),
        ("data:image/svg+xml,%3Csvg/%3E", "image/svg+xml", b"<svg/>"),
        ("data:image/svg+xml;charset=utf-8,<svg/>", "image/svg+xml", b"<svg/>"),
    ],
)
def test_a_data_url_is_read(url: str, kind: str, data: bytes) -> None:
    assert decoded(url) == (kind, data)


@pytest.mark.parametrize("url", ["data:image/png;base64", "data:image/png;base64,!!!"])
def test_what_is_no_data_url_is_refused(url: str) -> None:
    with pytest.raises(AntiphonError, match="expected a picture"):
        decoded(url)


def test_pictures_are_numbered_and_named_by_their_kind() -> None:
    save = saver("chart")
    named = [save(PNG), save("data:image/svg+xml,<svg/>"), save("data:image/tiff,x")]
    assert named == ["chart.png", "chart-2.svg", "chart-3.img"]
    assert Path("chart.png").read_bytes() == b"\x89PNG"


def test_only_the_first_picture_goes_where_it_was_wanted() -> None:
    save = saver("chart", path="mine.png")
    assert [save(PNG), save(PNG)] == ["mine.png", "chart-2.png"]


def test_a_picture_elsewhere_is_only_named() -> None:
    assert saver("chart")("https://example.com/x.png") == "https://example.com/x.png"
    assert list(Path().iterdir()) == []
