"""Pages over TLS: the certificate is checked for the name that was asked for."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from antiphon.errors import ToolFailed
from antiphon.tools import PageFetcher

pytestmark = pytest.mark.anyio

DAY = datetime.timedelta(days=1)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and its certificate for `sea.example`, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sea.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("sea.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path / "sea.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


@asynccontextmanager
async def serving(certificate: Path, heads: list[bytes]) -> AsyncGenerator[int]:
    """A server on loopback that knows no name but its certificate's; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nsalt"
        )
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_the_certificate_has_to_be_for_the_name_and_not_for_the_address(
    certificate: Path,
) -> None:
    heads: list[bytes] = []
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with serving(certificate, heads) as port, httpx2.AsyncClient(verify=trusted) as client:
        fetch = PageFetcher(http_client=client, resolve=loopback, private_urls=True)
        with anyio.fail_after(60):
            page = await fetch(f"https://sea.example:{port}/salt")
            assert page.text == "salt"
            with pytest.raises(ToolFailed, match="cannot be reached"):
                await fetch(f"https://land.example:{port}/salt")
    (head,) = heads
    assert f"host: sea.example:{port}\r\n".encode() in head.lower()
