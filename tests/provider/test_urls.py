"""URLs that lead inside are refused, however they are spelt and wherever they stand."""

from collections.abc import Callable
from typing import Any

import pytest

from .refusing import items, one_part, problem, provider
from .serving import exchange

pytestmark = pytest.mark.anyio


PRIVATE = """
http://127.0.0.1/ http://127.1/ http://127.0.1/ http://0x7f.1/ http://0x7f000001/
http://2130706433/ http://0177.0.0.1/ http://127.0.0.0x1/ http://127.0.0.01/ http://0/ http://0.0.0.0/
http://[::1]/ http://[::]/ http://[0:0:0:0:0:0:0:1]/ http://[::ffff:127.0.0.1]/
http://[::ffff:10.0.0.1]/ http://[::ffff:7f00:1]/ http://[::127.0.0.1]/ http://[64:ff9b::7f00:1]/
http://[2002:7f00:1::]/ http://[fe80::1]/ http://[fe80::1%25eth0]/ http://[fc00::1]/ http://[fd12::1]/
http://localhost/ http://localhost./ http://LOCALHOST/ http://localhost:8080/ http://a.localhost/
http://redis:6379/ http://intranet/ http://printer.local/ http://metadata.google.internal/ http://169.254.169.254/latest/
http://[fec0::1]/ http://[64:ff9b:1::7f00:1]/ http://192.0.0.8/
http://10.0.0.1/ http://172.16.0.1/ http://192.168.1.1/ http://100.64.0.1/ http://224.0.0.1/
http://user:pass@127.0.0.1/ http://example.com@127.0.0.1/ http://127.0.0.1:80/ HTTP://127.0.0.1/
http://127.0.0.1./ http://192.168.257/ http://%31%32%37.0.0.1/ http://127.0.0.%31/
http://\uff11\uff12\uff17.0.0.1/ http://127\u30020\u30020\u30021/ http://\u24db\u24de\u24d2alhost/
http://127.0.0.1\\@example.com/ http://[ff02::1]/ http://127.0.0.1# http://127.0.0.1?x http://0x7f.0x1
""".split()

NO_URLS = [
    "",
    "x",
    "/etc/passwd",
    "file:///etc/passwd",
    "ftp://example.com/",
    "http://",
    "http:///x",
    "javascript:alert(1)",
    "http://[::1/",
    "gopher://127.0.0.1/",
    "http://exa mple.com/",
    "http://a\tb.example/",
    "http://example.com/\n",
    "http://example.com:99999999/",
]

PUBLIC = """
https://example.com/a.png http://example.com:8080/ https://8.8.8.8/x https://[2606:4700::1111]/
https://user:pass@example.com/ https://b\xfccher.example/ https://1e100.net/ https://0xdead.beef.example/
https://local.example.com/ https://127.0.0.1.example.com/ https://3com.com/
data:image/png;base64,iVBORw0KGgo=
""".split()

PLACES: list[tuple[str, Callable[[str], Any]]] = [
    (
        "input[0].content[0].image_url.url",
        lambda url: one_part({"type": "image_url", "image_url": {"url": url}}),
    ),
    (
        "input[0].content[0].image_url",
        lambda url: one_part({"type": "input_image", "image_url": url}),
    ),
    (
        "input[0].content[0].file_url",
        lambda url: one_part({"type": "input_file", "file_url": url}),
    ),
    (
        "input[0].content[0].video_url",
        lambda url: one_part({"type": "input_video", "video_url": url}),
    ),
    (
        "input[1].output[0].image_url",
        lambda url: items(
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": url}],
            },
        ),
    ),
    (
        "input[0].outputs[0].url",
        lambda url: items(
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "status": "completed",
                "container_id": "c",
                "code": "",
                "outputs": [{"type": "image", "url": url}],
            }
        ),
    ),
    (
        "input[0].summary[0].image_url",
        lambda url: items(
            {"type": "reasoning", "summary": [{"type": "input_image", "image_url": url}]}
        ),
    ),
    (
        "input[0].content[0].image_url",
        lambda url: items(
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "input_image", "image_url": url}],
            }
        ),
    ),
    (
        "input[0].output[0].content[0].file_url",
        lambda url: items(
            {
                "type": "antiphon:agent_call",
                "id": "ac_1",
                "status": "completed",
                "agent": "a",
                "output": [
                    {"role": "assistant", "content": [{"type": "input_file", "file_url": url}]}
                ],
            }
        ),
    ),
    (
        "input[0].content[0].file.sources[1].here",
        lambda url: one_part({"type": "file", "file": {"sources": ["x", {"here": url}]}}),
    ),
    (
        "input[0].content[0].deep.link",
        lambda url: items(
            {"type": "x_new", "content": [{"type": "x_part", "deep": {"link": url}}]}
        ),
    ),
    (
        "input[1].output.image_url",
        lambda url: items(
            {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}},
            {
                "type": "computer_call_output",
                "call_id": "c",
                "output": {"type": "computer_screenshot", "image_url": url},
            },
        ),
    ),
]


@pytest.mark.parametrize("url", PRIVATE, ids=ascii)
async def test_urls_into_private_networks_are_refused(url: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_image", "image_url": url}))
    assert one.status == 400, one.body
    assert problem(one)["code"] in ("private_url", "invalid_url")
    assert problem(one)["param"] == "input[0].content[0].image_url"


@pytest.mark.parametrize("url", NO_URLS, ids=ascii)
async def test_what_is_no_url_is_refused(url: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_file", "file_url": url}))
    assert one.status == 400, one.body
    assert problem(one)["param"] == "input[0].content[0].file_url"


@pytest.mark.parametrize("url", PUBLIC, ids=ascii)
async def test_public_urls_pass(url: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_image", "image_url": url}))
    assert one.status == 200, one.body


@pytest.mark.parametrize(("param", "body"), PLACES, ids=[param for param, _ in PLACES])
async def test_urls_are_looked_at_wherever_a_model_would_read_them(
    param: str, body: Callable[[str], Any]
) -> None:
    inner, outer = body("http://127.0.0.1/"), body("https://example.com/")
    one = await exchange(provider(), inner)
    assert one.status == 400, one.body
    assert (problem(one)["code"], problem(one)["param"]) == ("private_url", param)
    assert (await exchange(provider(), outer)).status == 200
    assert (await exchange(provider(private_urls=True), inner)).status == 200


async def test_looking_for_urls_takes_no_longer_the_longer_their_names_are() -> None:
    """The way to each value, joined at each, would be 10 GB of text here."""
    part = {"type": "x_part", "k" * 100_000: ["https://example.com/"] * 100_000}
    assert (await exchange(provider(), one_part(part))).status == 200  # within its time
    wrong = {"type": "x_part", "k" * 100_000: ["http://127.0.0.1/"]}
    one = await exchange(provider(), one_part(wrong))
    assert (one.status, len(one.body) < 1000) == (400, True)


@pytest.mark.parametrize("private_urls", [False, True])
@pytest.mark.parametrize("data", [*PRIVATE[:2], "https://example.com/", "file:///etc/passwd"])
async def test_no_url_stands_where_a_file_s_bytes_belong(data: str, private_urls: bool) -> None:
    app = provider(private_urls=private_urls)
    one = await exchange(app, one_part({"type": "input_file", "file_data": data}))
    assert one.status == 400, one.body
    assert (problem(one)["code"], problem(one)["param"]) == (
        "invalid_value",
        "input[0].content[0].file_data",
    )


@pytest.mark.parametrize("data", ["data:text/plain;base64,aGk=", "aGk=", "aG\nk=", "_-8="])
async def test_a_file_s_bytes_pass(data: str) -> None:
    one = await exchange(provider(), one_part({"type": "input_file", "file_data": data}))
    assert one.status == 200, one.body


async def test_words_about_urls_are_no_urls() -> None:
    part = {"type": "x_note", "text": "see http://localhost/", "words": ["httpd", "http is old"]}
    assert (await exchange(provider(), one_part(part))).status == 200
