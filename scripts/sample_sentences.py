#!/usr/bin/env python3
"""Prints a random sample of sentences from docstrings and comments, for a review of the prose.

usage: sample_sentences.py [--count 200] [--seed 1] [PATH ...]    (PATH: folders or files, default tcptop)
"""

from __future__ import annotations

import argparse
import ast
import io
import random
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"(])|\n\s*\n|\n\s*(?=- )")
ARGUMENT = re.compile(r"\n\s*(?=\w+: )")
"""Start of an argument in the list that follows `Args:`."""
MIN_WORDS = 4
MACHINE_COMMENT = re.compile(r"#\s*(noqa|type: ignore|shellcheck|!)")


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the text of each sentence in a file's docstrings, attribute docstrings and comments."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from split(node.lineno, node.value.value)
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or MACHINE_COMMENT.match(token.string):
            continue
        line, is_trailing = token.start[0], bool(token.line[: token.start[1]].strip())
        if block and (is_trailing or line != last + 1):
            yield from split(first, " ".join(block))
            block = []
        first = line if not block else first
        block.append(token.string.lstrip("# "))
        last = line if not is_trailing else 0
    yield from split(first, " ".join(block))


def split(line: int, text: str) -> Iterator[tuple[int, str]]:
    """The sentences, list items and descriptions of arguments in a text, each on one line."""
    text, _, arguments = text.partition("Args:")
    parts = (text, *ARGUMENT.split(arguments))
    for sentence in (sentence for part in parts for sentence in SENTENCE_END.split(part)):
        flat = " ".join(sentence.split())
        if len(flat.split()) >= MIN_WORDS:
            yield line, flat


def main() -> None:
    """Prints each sentence of the sample as `number  file:line  sentence`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("tcptop")])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    files = sorted({file for path in options.paths for file in ([path] if path.is_file() else path.rglob("*.py"))})
    candidates = [(file, line, text) for file in files for line, text in sentences(file)]
    sample = random.Random(options.seed).sample(candidates, min(options.count, len(candidates)))
    for number, (file, line, text) in enumerate(sample, 1):
        print(f"{number:3}  {file}:{line}  {text}")


if __name__ == "__main__":
    main()
