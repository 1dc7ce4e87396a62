"""`tcptop exporter`: metrics for Prometheus, over HTTP or in a file for node_exporter."""

from __future__ import annotations

import argparse
import ipaddress
import signal
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from tcptop.commands.common import Parser, argument_type, make_sampler, open_chosen_host, parse_positive
from tcptop.errors import TcptopError
from tcptop.standard_streams import write_notice, write_stderr
from tcptop.text.own_command import as_root
from tcptop.text.printable import printable
from tcptop.text.quantities import parse_interval_s

if TYPE_CHECKING:
    import asyncio

    from tcptop.exporter.looks import Looks
    from tcptop.exporter.web_config import WebGate
    from tcptop.hosts.host import Host
    from tcptop.ledger import Ledger
    from tcptop.report.as_metrics import MetricOptions
    from tcptop.sampling.sampler import Sampler

PORT = 10097
DEFAULT_LISTEN = f"127.0.0.1:{PORT}"
TEXTFILE_EVERY_S = 15.0
WHO_EVERY_S = 60.0
MAX_OWNERS = 1000
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

DESCRIPTION = """\
Metrics for Prometheus, until a signal: over HTTP, or in a file that node_exporter
reads (--textfile). The kernel is read when a scraper asks, once a second at most.
What is unknown has no series."""

EPILOG = """\
Rules, a dashboard, units and manifests: docs/fleet in the source of tcptop.
Root sees more: {as_root} exporter.
"""

EXAMPLES = (
    ("sudo tcptop exporter", "serve the metrics on loopback"),
    ("sudo tcptop exporter --textfile /var/lib/prometheus/node-exporter/tcptop.prom", "write them for node_exporter"),
)

Address = tuple[str, int]


def run(arguments: Sequence[str]) -> int:
    """Exports metrics until a signal arrives; returns the exit code."""
    options = _parse_options(arguments)
    import asyncio

    try:
        import tcptop.exporter.exposition  # noqa: F401
    except ImportError:
        raise TcptopError("the exporter needs prometheus-client: pip install prometheus-client") from None
    asyncio.run(_export(options))
    return 0


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(
        prog="tcptop exporter",
        description=DESCRIPTION,
        epilog=EPILOG.format(as_root=as_root()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        action="append",
        type=parse_address,
        help=f"where to listen ({DEFAULT_LISTEN}); may be repeated; [::1]:PORT, :PORT for every address",
    )
    parser.add_argument(
        "--textfile", metavar="FILE", help="write the metrics into FILE, which ends in .prom, in place of HTTP"
    )
    parser.add_argument(
        "--every",
        metavar="N",
        type=argument_type(parse_interval_s),
        help=f"seconds from one file to the next ({TEXTFILE_EVERY_S:.0f}), or with --who and HTTP"
        f" from one look at all sockets to the next ({WHO_EVERY_S:.0f})",
    )
    parser.add_argument("--who", action="store_true", help="sockets and buffers by state, from a look at all sockets")
    parser.add_argument(
        "--who-top",
        metavar="N",
        type=parse_positive,
        help="with --who: the N owners with the most sockets too, by name and cgroup; the series come and go with them",
    )
    parser.add_argument("--no-free-blocks", action="store_true", help="leave out free blocks by node and order")
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        metavar="FILE",
        help="TLS and passwords, in the format of Prometheus' exporters; needs PyYAML and bcrypt",
    )
    parser.add_root_option()
    parser.add_cgroup_option()
    return parser


def _parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    options = make_parser().parse_args(arguments)
    has_file = options.textfile is not None
    conflicts = (
        (
            options.textfile is not None and (options.listen or options.web_config),
            "--textfile goes without --listen and TLS",
        ),
        (has_file and not options.textfile.endswith(".prom"), "--textfile: the name ends in .prom"),
        (options.who_top is not None and not options.who, "--who-top goes with --who"),
        ((options.who_top or 0) > MAX_OWNERS, f"--who-top: at most {MAX_OWNERS}"),
        (
            options.every is not None and not options.who and not has_file,
            "--every goes with --textfile or --who",
        ),
    )
    problem = next((message for is_wrong, message in conflicts if is_wrong), None)
    if problem is not None:
        raise TcptopError(problem)
    return options


def parse_address(text: str) -> Address:
    """Argparse type that parses ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or :PORT for all addresses."""
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    is_port = port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536
    if not colon or not is_port or (":" in host and not is_bracketed) or host == "[]":
        raise argparse.ArgumentTypeError(f"ADDRESS:PORT, such as {DEFAULT_LISTEN} or [::1]:{PORT}, not {text!r:.60}")
    return host[1:-1] if is_bracketed else host, int(port)


def is_loopback(host: str) -> bool:
    """True if only this machine can reach an address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


async def _export(options: argparse.Namespace) -> None:
    import asyncio

    from tcptop.accounting import account
    from tcptop.exporter.looks import Looks
    from tcptop.report.as_metrics import MetricOptions

    ended = asyncio.Event()
    for number in ENDS:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    with closing(open_chosen_host(options)) as host:
        looks = Looks(_make_sampler(host, options), account)
        metric_options = MetricOptions(not options.no_free_blocks, options.who_top or 0)
        if options.textfile is not None:
            await _write_file(options, looks, metric_options, ended)
        else:
            await _serve(options, looks, metric_options, ended)


def _make_sampler(host: Host, options: argparse.Namespace) -> Sampler:
    from tcptop.exporter.looks import LATE_VALUES_S
    from tcptop.sources.socket_table import SocketTableSource
    from tcptop.sources.source import Pace

    sampler = make_sampler(host, 1.0, None, options.cgroup)
    sampler.late_values_s = LATE_VALUES_S
    # The source pagetypeinfo is left out, because pagetypeinfo is the most expensive source, and no metric needs its
    # figures.
    sampler.set_enabled("pagetypeinfo", False)
    if options.who:
        source = SocketTableSource()
        every_s = WHO_EVERY_S if options.every is None or options.textfile is not None else options.every
        source.pace = Pace(min_period_s=every_s)
        sampler.add_source(source)
    return sampler


async def _write_file(
    options: argparse.Namespace, looks: Looks, metric_options: MetricOptions, ended: asyncio.Event
) -> None:
    from tcptop.exporter.textfile import write_textfiles

    every_s = options.every or TEXTFILE_EVERY_S
    _warn_of_missing(await looks.first())
    _say(f"writing {printable(options.textfile)} every {every_s:g} s; Ctrl-C ends it")
    await write_textfiles(looks, metric_options, options.textfile, every_s, ended)


async def _serve(
    options: argparse.Namespace, looks: Looks, metric_options: MetricOptions, ended: asyncio.Event
) -> None:
    from tcptop.exporter.endpoint import Endpoint
    from tcptop.exporter.server import Server, address_text, open_sockets

    gate = _open_gate(options.web_config)
    addresses: list[Address] = options.listen or [parse_address(DEFAULT_LISTEN)]
    try:
        sockets = open_sockets(addresses)
    except OSError as error:
        raise TcptopError(
            f"cannot listen on {printable(str(error.filename))}: {error.strerror}; --listen ADDRESS:PORT"
        ) from None
    endpoint = Endpoint(looks, metric_options, gate.authorize if gate is not None else None)
    server = Server(endpoint.answer, gate.tls_context) if gate is not None else Server(endpoint.answer)
    try:
        _warn_of_missing(await looks.first())
        server.listen(sockets)
        scheme = "https" if gate is not None and gate.has_tls else "http"
        places = ", ".join(f"{scheme}://{address_text(each.getsockname())}/metrics" for each in sockets)
        _say(f"listening on {places}; --listen ADDRESS:PORT changes it")
        if (gate is None or not gate.has_tls) and not all(is_loopback(host) for host, _ in addresses):
            _warn(
                "other machines can read the metrics, and without TLS; --web.config.file adds it, or listen on loopback"
            )
        await ended.wait()
    finally:
        await server.close()
        for each in sockets:
            each.close()


def _open_gate(path: str | None) -> WebGate | None:
    if path is None:
        return None
    try:
        from tcptop.exporter.web_config import WebGate
    except ImportError:
        raise TcptopError("--web.config.file needs PyYAML and bcrypt: pip install PyYAML bcrypt") from None
    return WebGate(path, _warn)


def _warn_of_missing(ledger: Ledger) -> None:
    """Prints a warning that names the sources that the kernel refused to read; called once, at the start."""
    refused = [name for name, source in ledger.sources.items() if source.state == "refused"]
    if refused:
        _warn(f"may not read {', '.join(refused)}: their figures have no series; root sees more")


def _say(text: str) -> None:
    write_notice(f"tcptop exporter: {text}\n")


def _warn(text: str) -> None:
    write_stderr(f"tcptop exporter: warning: {text}\n")
