"""A PostgreSQL server for tests, named by ANTIPHON_POSTGRES (`.ci/database` starts one)."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, make_url, text


class Server:
    """A server; each test has schemas of its own on it."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._schemas: list[str] = []

    def execute(self, statement: str) -> int:
        """Run a statement, whatever it is; how many rows it touched."""
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            touched = connection.execute(text(statement)).rowcount
        engine.dispose()
        return touched

    def fresh(self) -> str:
        """The URL of an empty schema."""
        schema = f"antiphon_test_{secrets.token_hex(8)}"
        self.execute(f"CREATE SCHEMA {schema}")
        self._schemas.append(schema)
        url = self._url.update_query_dict(
            {"options": f"-csearch_path={schema}", "application_name": schema}
        )
        return url.render_as_string(hide_password=False)

    def cut(self) -> int:
        """Cut all connections to what was made here; how many there were."""
        names = ", ".join(f"'{schema}'" for schema in self._schemas)
        return self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name IN ({names})"
        )

    def clear(self) -> None:
        """Drop what was made."""
        for schema in self._schemas:
            self.execute(f"DROP SCHEMA {schema} CASCADE")


@contextmanager
def postgres() -> Generator[Server]:
    """The server; the test is skipped where there is none, but not in CI."""
    url = os.environ.get("ANTIPHON_POSTGRES")
    if not url:
        assert "CI" not in os.environ, "expected a server in ANTIPHON_POSTGRES: see .ci/database"
        pytest.skip("no server is named by ANTIPHON_POSTGRES")
    server = Server(url)
    try:
        yield server
    finally:
        server.clear()
