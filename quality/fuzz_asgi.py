"""Fuzz the ASGI door: its answers are the oracle's, whatever else is in the request and in the response.

``python -m quality.fuzz_asgi --seconds 20``
"""

from __future__ import annotations

import logging
import sys

from .cases import question_from
from .cases import SETTINGS
from .fuzzing import main
from .fuzzing import Source
from .oracle import answer_to
from .oracle import summary
from .through_asgi import as_text
from .through_asgi import ask
from .through_asgi import headers_of
from .through_asgi import make_application
from .through_asgi import scope_of

#: What an application sends by itself. Of these, ``Access-Control-*`` must go and the rest must stay.
OWN = (
    (b"access-control-allow-origin", b"https://evil.example"),
    (b"Access-Control-Allow-Credentials", b"true"),
    (b"content-type", b"application/json"),
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"yes"),
    (b"set-cookie", b"a=b"),
    (b"Set-Cookie", b"c=d"),
)

#: Other names than the ones that count: a server does not fold ``_`` into ``-``, and neither may we.
OTHERS = (
    (b"sec_fetch_site", b"same-origin"),
    (b"access_control_request_method", b"POST"),
    (b"x-origin", b"https://app.example.com"),
    (b"accept", b"*/*"),
    (b"accept", b"text/html"),
)

own_headers: list[tuple[bytes, bytes]] = []
APPLICATIONS = [(make_application(settings, own_headers), settings) for settings in SETTINGS]


def target(source: Source) -> None:
    application, settings = source.choose(APPLICATIONS)
    question = question_from(source.choose, source.text)
    headers = headers_of(question)
    for _ in range(source.byte() % 4):
        headers.insert(source.byte() % (len(headers) + 1), source.choose(OTHERS))
    own_headers[:] = [source.choose(OWN) for _ in range(source.byte() % 4)]

    status, given, reached = ask(application, scope_of(question, headers))
    assert summary(None if reached else status, as_text(given)) == answer_to(question, settings), (question, settings)
    names = [name for name, _ in given]
    assert all(names.count(name) == 1 for name in names if name.startswith(b"access-control-") or name == b"vary")
    if reached:
        kept = [(name.lower(), value) for name, value in own_headers if not name.lower().startswith(b"access-control-")]
        assert [(name.lower(), value) for name, value in given][: len(kept)] == kept, (own_headers, given)


if __name__ == "__main__":
    logging.getLogger("flask_mcp_cors").setLevel(logging.CRITICAL)  # refusals are logged, here by the thousand
    sys.exit(main(target))
