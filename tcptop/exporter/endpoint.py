"""The exporter's answers: metrics under /metrics, and under / a page with a link to /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from tcptop import __version__
from tcptop.exporter.exposition import negotiated
from tcptop.exporter.looks import Looks
from tcptop.exporter.server import Request, Response, plain_response
from tcptop.report.as_metrics import MetricOptions, metric_families
from tcptop.sampling.live_sampler import PATIENCE_S

TIMEOUT_HEADER = "x-prometheus-scrape-timeout-seconds"
TIMEOUT_OFFSET_S = 0.5
"""The exporter must answer at least this number of seconds before the scraper's timeout."""
PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tcptop</title></head>
<body><h1>tcptop {__version__}</h1><p>Kernel memory of TCP connections.</p>
<p><a href="/metrics">Metrics</a></p></body></html>
""".encode()

Authorize = Callable[[Request], Awaitable[Response | None]]
"""Returns the response that refuses a request; None if the request is allowed."""


class Endpoint:
    """Answers requests with the metrics of `looks`."""

    def __init__(self, looks: Looks, options: MetricOptions, authorize: Authorize | None = None) -> None:
        self._looks = looks
        self._options = options
        self._authorize = authorize

    async def answer(self, request: Request) -> Response:
        """The response to a request."""
        refusal = None if self._authorize is None else await self._authorize(request)
        if refusal is not None:
            return refusal
        if request.path not in ("/", "/metrics"):
            return plain_response(HTTPStatus.NOT_FOUND, "there is /metrics")
        if request.method not in ("GET", "HEAD"):
            return plain_response(HTTPStatus.METHOD_NOT_ALLOWED, headers=[("Allow", "GET, HEAD")])
        if request.path == "/":
            return Response(HTTPStatus.OK, PAGE, "text/html; charset=utf-8")
        ledger = await self._looks.ledger(patience_s(request.headers.get(TIMEOUT_HEADER, "")))
        options = self._options._replace(read_us=self._looks.sampler.total_read_us)
        if ledger is None:
            return plain_response(HTTPStatus.SERVICE_UNAVAILABLE, "the kernel has not answered yet")
        # If nothing can be read, as of a machine that ssh has lost, `tcptop_source_up` says so.
        encoded = negotiated(metric_families(ledger, options), request.headers.get("accept", ""))
        return Response(HTTPStatus.OK, encoded.body, encoded.content_type)


def patience_s(timeout: str) -> float:
    """Longest wait for slow sources, computed from the text of the header TIMEOUT_HEADER (`timeout`).

    If the header is missing or malformed, the wait is PATIENCE_S.
    """
    try:
        seconds = float(timeout)
    except ValueError:
        return PATIENCE_S
    return min(PATIENCE_S, max(0.0, seconds - TIMEOUT_OFFSET_S)) if seconds > 0 else PATIENCE_S
