"""`tcptop explain`: prints the page of a cache, a struct, a topic or a word, with the sizes on this kernel."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing

from tcptop.commands.common import Parser, make_sampler, open_chosen_host, read_ledger, terminal_columns
from tcptop.errors import TcptopError
from tcptop.explanation.pages import explain_word, nearest_words
from tcptop.hosts.run_sync import run_sync
from tcptop.kernel.function_names import FUNCTIONS
from tcptop.report.explain_text import overview_text, page_text
from tcptop.sources.cache_attributes import CacheAttributesSource
from tcptop.sources.kallsyms import read_symbols
from tcptop.standard_streams import write_stdout
from tcptop.text.printable import quoted

NEGATIVE_FIGURE = re.compile(r"-[\d.]")
MEMBER = re.compile(r"(?:\w+(?:->|\.))*[a-z]\w*_\w+")
"""A word that may be the name of a member of a struct."""
COLUMNS_IN_A_PIPE = 100
MAX_COLUMNS = 120

DESCRIPTION = "What the words on the screen mean, and the kernel objects behind a TCP connection, with their sizes."
EXAMPLES = (
    ("tcptop explain TCP", "a cache: what it is for, who allocates it, its size"),
    ("tcptop explain memory", "a page: whose the machine's slab memory is"),
    ("tcptop explain watermark", "a word on the screen"),
)


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(prog="tcptop explain", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument(
        "what",
        nargs="*",
        help="a cache (TCP), a struct, a page, or words on the screen; words: all words; nothing: what there is",
    )
    parser.add_root_option()
    parser.add_lab_option()
    return parser


def parse_options(arguments: Sequence[str]) -> Namespace:
    """Parses the arguments; a rate as the screen prints it, such as `-5/s`, is a word and no option."""
    parser = make_parser()
    options: Namespace
    options, others = parser.parse_known_args(arguments)
    unknown = [each for each in others if not NEGATIVE_FIGURE.match(each)]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.what += others
    return options


def run(arguments: Sequence[str]) -> int:
    """Prints the explanation; returns the exit code."""
    options = parse_options(arguments)
    with closing(open_chosen_host(options)) as host:
        sampler = make_sampler(host, 1.0, options.lab)
        sampler.ask_for("btf")
        symbols = run_sync(read_symbols(sampler.host, FUNCTIONS))
        ledger = read_ledger(sampler)
        what = " ".join(options.what)
        page = explain_word(ledger, what) if what else None
        if page is not None and page.cache is not None:
            # A ledger is needed to find the cache that a word means.
            sampler.add_source(CacheAttributesSource(page.cache))
            ledger = read_ledger(sampler)
    ledger = ledger._replace(symbols=symbols)
    columns = min(MAX_COLUMNS, terminal_columns() or COLUMNS_IN_A_PIPE)
    text = page_text(ledger, what, columns) if options.what else overview_text(ledger, columns)
    if text is None:
        near = ", ".join(nearest_words(ledger, what))
        hint = f"near it: {near}" if near else "tcptop explain words lists all"
        reason = ledger.sources["btf"].reason
        if reason and MEMBER.fullmatch(what):
            hint += f"; members of structs are known only with BTF: {reason}"
        raise TcptopError(f"explain: no entry for {quoted(what)}; {hint}")
    write_stdout(text)
    return 0
