"""The metadata service of a rented machine: requests of bounded time and size, without proxies or redirects."""

import http.client
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

ADDRESS = "169.254.169.254"
"""Link-local: the same on AWS, Azure and GCE, and never routed off the machine's host."""
TIMEOUT_SECONDS = 2.0
MOST_BYTES = 65536
_HOST = re.compile(r"(?:http://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?")


class MetadataError(Exception):
    """The service does not answer, or not as it is documented to. `status`: that of HTTP, 0 without an answer."""

    def __init__(self, what: str, status: int = 0):
        super().__init__(what)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What the service said."""

    status: int
    headers: Mapping[str, str]
    text: str


class MetadataService:
    """The service at `address`: a host, a host and port, or that as an http URL. Raises ValueError for another one."""

    def __init__(self, address: str = ADDRESS):
        found = _HOST.fullmatch(address)
        if not found or not 0 < int(found[2] or 80) < 65536:
            raise ValueError("is no http address of a host")
        self._host, self._port = found[1].strip("[]"), int(found[2] or 80)

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] = {}, timeout: float = TIMEOUT_SECONDS
    ) -> Answer:
        """The answer to one request, whatever its status. Raises MetadataError if there is none within `timeout`."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        until = time.monotonic() + timeout
        try:
            connection.request(method, path, headers=dict(headers))
            response = connection.getresponse()
            body = b""
            while part := response.read1(MOST_BYTES):
                body += part
                if len(body) > MOST_BYTES or time.monotonic() > until:
                    raise MetadataError("the answer is too long", response.status)
            known = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, known, body.decode("utf-8", errors="replace").strip())
        except TimeoutError:
            raise MetadataError(f"no answer in {timeout:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise MetadataError(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()

    def read(self, path: str, *, headers: Mapping[str, str] = {}, timeout: float = TIMEOUT_SECONDS) -> Answer | None:
        """The answer of status 200, None for a path that is not there (404). Raises MetadataError for every other."""
        answer = self.ask(path, headers=headers, timeout=timeout)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise MetadataError(f"answers {path} with status {answer.status}", answer.status)
        return answer
