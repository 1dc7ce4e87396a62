"""An entry of the glossary, and the source that several entries name."""

from typing import NamedTuple

TCP_STATES = "include/net/tcp_states.h; net/ipv4/tcp.c, tcp_set_state()"
"""The source of the names of TCP's states."""


class Entry(NamedTuple):
    """An entry of the glossary: a word with its meaning."""

    word: str
    meaning: str
    """One sentence."""
    more: str
    """One or two further sentences about the word."""
    source: str
    """The kernel's file or function from which the figure or the word comes; `tcptop` for tcptop's own words."""
    other_names: tuple[str, ...] = ()
    """Further words by which the entry is found."""
