"""Pages opened for a model: public ones alone, bounded, read as a reader would read them."""

import gzip
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import httpx2
import pytest

from antiphon.errors import ConfigurationError, ToolFailed
from antiphon.tools import PageFetcher

pytestmark = pytest.mark.anyio

Answer = Callable[[httpx2.Request], httpx2.Response]
HTML = {"content-type": "text/html; charset=utf-8"}


def fetcher(
    answer: Answer, *, addresses: Sequence[str] = ("93.184.216.34",), **options: Any
) -> PageFetcher:
    """A fetcher of a made-up network, in which every name has these addresses."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return PageFetcher(http_client=client, resolve=resolve, **options)


def always(body: bytes | str, status: int = 200, **headers: str) -> Answer:
    content = body.encode() if isinstance(body, str) else body
    given = {key.replace("_", "-"): value for key, value in headers.items()} or HTML
    return lambda request: httpx2.Response(status, content=content, headers=given)


async def text_of(body: str) -> str:
    return (await fetcher(always(body))("https://a.example/dir/page")).text


async def test_a_page_is_title_and_text_without_what_no_reader_sees() -> None:
    body = """<!doctype html><html><head><title> The
     Tides </title><style>p {color: red}</style><script>var a = "<p>no</p>";</script></head>
    <body><h1>Tides</h1><p>Twice&nbsp;a&#32;day,<br>says <b>the</b> <a href="../moon">moon</a>.</p>
    <ul><li>high<li>low</ul><table><tr><td>1</td><td>2</td></tr></table>
    <noscript>off</noscript><svg><text>no</text></svg></body>"""
    page = await fetcher(always(body))("https://a.example/dir/page")
    assert page.title == "The Tides"
    assert page.url == "https://a.example/dir/page"
    assert page.text == (
        "Tides\n\nTwice a day,\nsays the [moon](https://a.example/moon).\n\n"
        "- high\n- low\n\n| 1 | 2"
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>open <b>for ever", "open for ever"),
        ("a < b && c > d", "a < b && c > d"),
        ('<a href="javascript:x()">go</a> <a href="#x">up</a>', "go up"),
        ("<script>never closed <p>x</p>", ""),
        ("</p></div></a>x", "x"),
        ("", ""),
    ],
)
async def test_sloppy_pages_are_read(body: str, text: str) -> None:
    assert await text_of(body) == text


@pytest.mark.parametrize(
    "body", ["<" * 600_000, "<a " * 200_000, "<!--" * 200_000, "<a b=" * 150_000, "&" * 600_000]
)
async def test_a_page_that_is_made_to_be_slow_is_read_in_bounded_time(body: str) -> None:
    began = time.monotonic()
    await text_of(body)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "3fff::1",
        "192.0.0.8",
        "nonsense",
    ],
)
async def test_a_name_that_leads_to_a_private_place_is_not_opened(address: str) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200)

    with pytest.raises(ToolFailed, match="not a public address"):
        await fetcher(answer, addresses=["93.184.216.34", address])("https://rebound.example/")
    assert asked == []


async def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, text="ok")

    await fetcher(answer)("https://a.example:8443/x?y=1#z")
    assert str(seen[0].url) == "https://93.184.216.34:8443/x?y=1"
    assert seen[0].headers["host"] == "a.example:8443"
    assert seen[0].extensions["sni_hostname"] == "a.example"


async def test_a_redirect_is_looked_at_like_any_address() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "inside.example" else ["93.184.216.34"]

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(302, headers={"location": "http://inside.example/admin"})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), follow_redirects=True)
    with pytest.raises(ToolFailed, match=r"inside\.example is not a public address"):
        await PageFetcher(http_client=client, resolve=resolve)("https://a.example/")


async def test_redirects_are_followed_to_the_page_and_not_for_ever() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        step = int(request.url.params["n"])
        if step == 0:
            return httpx2.Response(200, text="there")
        return httpx2.Response(301, headers={"location": f"/next?n={step - 1}"})

    page = await fetcher(answer)("https://a.example/?n=5")
    assert (page.url, page.text) == ("https://a.example/next?n=0", "there")
    with pytest.raises(ToolFailed, match="redirects"):
        await fetcher(answer)("https://a.example/?n=6")


async def test_a_redirect_out_of_the_allowed_domains_is_not_followed() -> None:
    away = always("", 302, location="https://b.example/")
    with pytest.raises(ToolFailed, match=r"b\.example may not be opened"):
        await fetcher(away)("https://a.example/", allowed_domains=("a.example",))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://a.example/", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("https://", "http or https"),
        ("a.example", "http or https"),
        ("https://u:p@a.example/", "without a user"),
        ("https://a.example:99999/", "http or https"),
    ],
)
async def test_what_is_no_web_address_is_refused(url: str, said: str) -> None:
    with pytest.raises(ToolFailed, match=said):
        await fetcher(always("x"))(url)


async def test_a_page_is_cut_at_its_bound_also_when_it_unpacks_to_far_more() -> None:
    bomb = gzip.compress(b"a" * 50_000_000)

    def stream(request: httpx2.Request) -> httpx2.Response:
        async def body() -> "object":
            yield bomb

        return httpx2.Response(
            200,
            content=body(),  # pyright: ignore[reportArgumentType]
            headers={"content-type": "text/plain", "content-encoding": "gzip"},
        )

    page = await fetcher(stream, max_bytes=1000)("https://a.example/")
    assert page.text == "a" * 1000
    page = await fetcher(always("b" * 5000), max_bytes=1000)("https://a.example/")
    assert page.text == "b" * 1000


async def test_a_page_that_never_ends_is_given_up_in_time() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        async def body() -> "object":
            yield b"x"
            await anyio.sleep_forever()

        return httpx2.Response(200, content=body(), headers=HTML)  # pyright: ignore[reportArgumentType]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34"]

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    one = PageFetcher(http_client=client, resolve=resolve, timeout=0.05)
    with anyio.fail_after(60), pytest.raises(ToolFailed, match=r"longer than 0\.05 seconds"):
        await one("https://a.example/")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (always("x", 404), "answered 404"),
        (always("x", content_type="image/png"), "image/png, expected text"),
        (always("x", content_type="text/plain", content_encoding="br"), "encoded as 'br'"),
    ],
)
async def test_what_is_no_text_fails_with_its_reason(answer: Answer, said: str) -> None:
    with pytest.raises(ToolFailed, match=said):
        await fetcher(answer)("https://a.example/")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("Größe".encode("latin-1"), "text/plain; charset=iso-8859-1"),
        (b"<meta charset='latin-1'>" + "Größe".encode("latin-1"), "text/html"),
        ("Größe".encode(), "text/plain; charset=hex"),
        ("Größe".encode(), 'text/plain; charset="nonsense"'),
    ],
)
async def test_a_page_is_decoded_as_it_says(body: bytes, kind: str) -> None:
    page = await fetcher(always(body, content_type=kind))("https://a.example/")
    assert page.text == "Größe"


async def test_a_name_that_is_nowhere_fails() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    with pytest.raises(ToolFailed, match="cannot be found"):
        await PageFetcher(resolve=resolve)("https://a.example/")


async def test_this_machine_is_not_opened_by_the_systems_own_resolver() -> None:
    for host in ("localhost", "127.0.0.1", "2130706433", "[::1]"):
        with pytest.raises(ToolFailed, match="not a public address"):
            await PageFetcher()(f"http://{host}:9/")


def test_bounds_are_above_zero() -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        PageFetcher(max_bytes=0)
