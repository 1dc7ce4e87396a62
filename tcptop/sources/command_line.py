"""/proc/cmdline, split into kernel parameters as the kernel splits it (lib/cmdline.c, next_arg)."""

import re
from typing import NamedTuple

PATH = "proc/cmdline"

WORD = re.compile(r'(?:"[^"]*(?:"|$)|[^ \t\n\v\f\r"])+')
"""A parameter ends at white space outside of double quotes."""

END_OF_PARAMETERS = "--"
"""All words after this one are arguments of init (kernel/params.c, parse_args)."""


class Parameter(NamedTuple):
    """One kernel parameter."""

    name: str
    """In a name, `-` means the same as `_` (kernel/params.c, parameq), so each `-` is replaced by `_`."""
    value: str | None
    """The text after the first `=`, without the quotes around it; None without `=`."""
    text: str
    """The parameter as in /proc/cmdline."""


def parse_command_line(text: str) -> list[Parameter]:
    """The kernel parameters in a command line, without the arguments of init."""
    parameters = []
    for word in WORD.findall(text):
        parameter = _parse_parameter(word)
        if parameter is None:
            break
        parameters.append(parameter)
    return parameters


def has_word(text: str, name: str, word: str) -> bool:
    """True if the kernel parameter `name` in a command line has the word in its comma-separated list."""
    return any(each.name == name and word in (each.value or "").split(",") for each in parse_command_line(text))


def _parse_parameter(word: str) -> Parameter | None:
    """The parameter in a word; None if the word ends the parameters."""
    is_quoted = word.startswith('"')
    body = word.removeprefix('"')
    equals = body.find("=", 1)  # a `=` at the start is part of the name
    value = None if equals < 0 else body[equals + 1 :]
    if is_quoted or (value is not None and value.startswith('"')):
        value = None if value is None else value.removeprefix('"').removesuffix('"')
        body = body.removesuffix('"')
    name = body if value is None else body[:equals]
    if value is None and name == END_OF_PARAMETERS:
        return None
    return Parameter(name.replace("-", "_"), value, word)
