"""Copies the structs of the relations from BTF: `python tests/trim_btf.py /sys/kernel/btf/vmlinux DEST.xz`.

DEST has the structs whose members `tcptop explain relations` shows, with the types in them; pointers point at void.
"""

from __future__ import annotations

import lzma
import struct
import sys
from pathlib import Path

from tcptop.kernel.relations import member_paths

HEADER = "<HBBIIIII"
PTR, ARRAY, STRUCT, UNION, FUNC_PROTO = 2, 3, 4, 5, 13
REFERS = (8, 9, 10, 11, 18)
"""Kinds of types that refer to one other type: typedef, volatile, const, restrict, type tag."""
TAIL_WORDS = {1: 1, 3: 3, 14: 1, 17: 1}
MEMBER_WORDS = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}


def trim(data: bytes) -> bytes:
    """The wanted structs and their types, as a BTF file of its own."""
    _, _, _, length, type_at, type_bytes, name_at, name_bytes = struct.unpack_from(HEADER, data)
    words = struct.unpack_from(f"<{type_bytes // 4}I", data, length + type_at)
    strings = data[length + name_at : length + name_at + name_bytes]
    records: list[list[int]] = [[]]
    at = 0
    while at < len(words):
        kind, members = words[at + 1] >> 24 & 31, words[at + 1] & 0xFFFF
        end = at + 3 + TAIL_WORDS.get(kind, 0) + MEMBER_WORDS.get(kind, 0) * members
        records.append(list(words[at:end]))
        at = end
    name_of = {index: strings[index : strings.index(b"\0", index)] for index in {record[0] for record in records[1:]}}
    wanted = {name.encode() for name in member_paths()}
    kept: dict[int, int] = {0: 0}
    copied: list[list[int]] = []

    def keep(old: int) -> int:
        if old not in kept:
            kept[old] = len(copied) + 1
            record = [*records[old]]
            copied.append(record)
            kind = record[1] >> 24 & 31
            if kind == PTR:
                record[2] = 0
            elif kind in REFERS:
                record[2] = keep(record[2])
            elif kind == ARRAY:
                record[3], record[4] = keep(record[3]), keep(record[4])
            elif kind in (STRUCT, UNION):
                for member in range(4, len(record), 3):
                    record[member] = keep(record[member])
            elif kind == FUNC_PROTO:
                record[1:] = [kind << 24, 0]
        return kept[old]

    for number, record in enumerate(records):
        if record and record[1] >> 24 & 31 == STRUCT and name_of[record[0]] in wanted:
            keep(number)
    names = bytearray(b"\0")
    places: dict[int, int] = {0: 0}

    def place(index: int) -> int:
        if index not in places:
            places[index] = len(names)
            names.extend(strings[index : strings.index(b"\0", index)] + b"\0")
        return places[index]

    for record in copied:
        record[0] = place(record[0])
        kind = record[1] >> 24 & 31
        for member in range(3, len(record), MEMBER_WORDS.get(kind) or len(record)) if kind in MEMBER_WORDS else ():
            record[member] = place(record[member])
    body = b"".join(struct.pack(f"<{len(record)}I", *record) for record in copied)
    head = struct.pack(HEADER, 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names))
    return head + body + bytes(names)


def main() -> None:
    """Parses the arguments and writes the file."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Path(sys.argv[2]).write_bytes(lzma.compress(trim(Path(sys.argv[1]).read_bytes()), preset=9))


if __name__ == "__main__":
    main()
