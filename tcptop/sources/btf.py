"""/sys/kernel/btf/vmlinux (Documentation/bpf/btf.rst): the layout of every struct of the running kernel.

Readable by anyone. Only what the catalogue names is kept; everything else of the file is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tcptop.hosts.host import Host
from tcptop.printable import decoded, printable_name
from tcptop.snapshot import Btf, Reading, StructLayout, StructMember
from tcptop.sources.source import Damage, Pace, Source, failure, reading

PATH = "sys/kernel/btf/vmlinux"
MAGIC = 0xEB9F
HEADER = "HBBIIIII"

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FLOAT, TYPE_TAG, ENUM64 = 16, 18, 19
SAME_SIZE_KINDS = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)
SIZED_KINDS = (INT, STRUCT, UNION, ENUM, FLOAT, ENUM64)

TAIL_BYTES = {INT: 4, ARRAY: 12, 14: 4, 17: 4}
"""What follows a type of a kind: VAR and DECL_TAG are 14 and 17."""
MEMBER_BYTES = {STRUCT: 12, UNION: 12, ENUM: 8, 13: 8, 15: 12, ENUM64: 12}
"""What follows for each member: FUNC_PROTO and DATASEC are 13 and 15."""
LAST_KIND = 19

POINTER_BYTES = 8
FREE_POINTER_TYPE = "freeptr_t"
MAX_DEPTH = 32


class BtfSource(Source[Btf]):
    """Once: it stands as long as the kernel runs. Parsing its 100 000 types takes a tenth of a second."""

    name = "btf"
    stands_in_for = "slabinfo"
    pace = Pace(at_least_s=86_400.0, retry_s=86_400.0)

    def __init__(self, structs: Collection[str]) -> None:
        """Takes the names of the structs to keep, without the word struct."""
        self._structs = frozenset(structs)

    async def read(self, host: Host) -> Reading[Btf]:
        """Reads and parses the file."""
        [file] = await host.read([PATH])
        failed: Reading[Btf] | None = failure(file)
        if failed is not None:
            return failed
        data = file.data or b""
        value, damage = await host.ask(lambda: parse(data, self._structs))
        return reading(value, damage, PATH, file.took_us)


@dataclass(slots=True)
class _Types:
    data: bytes
    names: bytes
    order: str
    offsets: list[int]

    def header(self, type_id: int) -> tuple[int, int, int, int]:
        """Name, kind, number of members, and size or type of the type of that number."""
        name, info, size = struct.unpack_from(f"{self.order}III", self.data, self.offsets[type_id])
        return name, info >> 24 & 31, info & 0xFFFF, size

    def name(self, offset: int) -> str:
        """The text at an offset of the names."""
        return printable_name(decoded(self.names[offset : self.names.index(b"\0", offset)]))


def parse(data: bytes, structs: Collection[str]) -> tuple[Btf | None, Damage | None]:
    """The layouts of those structs that the kernel has. Never raises."""
    try:
        types = _types(data)
        return Btf({layout.name: layout for layout in _layouts(types, structs)}), None
    except (struct.error, ValueError, IndexError) as error:
        return None, Damage("strange", f"not a BTF file that is understood ({error})")


def _types(data: bytes) -> _Types:
    order = "<" if data[:2] == MAGIC.to_bytes(2, "little") else ">"
    magic, version, _, length, type_at, type_length, name_at, name_length = struct.unpack_from(order + HEADER, data)
    if magic != MAGIC or version != 1:
        raise ValueError("no BTF version 1")
    body = data[length + type_at : length + type_at + type_length]
    names = data[length + name_at : length + name_at + name_length]
    if len(body) < type_length or len(names) < name_length:
        raise ValueError("cut off")
    offsets = [0]
    at = 0
    info_of = struct.Struct(f"{order}I").unpack_from
    while at < type_length:
        offsets.append(at)
        (info,) = info_of(body, at + 4)
        kind = info >> 24 & 31
        if kind > LAST_KIND:
            raise ValueError(f"type kind {kind} is newer than this program")
        at += 12 + TAIL_BYTES.get(kind, 0) + MEMBER_BYTES.get(kind, 0) * (info & 0xFFFF)
    return _Types(body, names, order, offsets)


def _layouts(types: _Types, structs: Collection[str]) -> Iterator[StructLayout]:
    wanted: dict[int, str] = {}
    for name in structs:
        at = types.names.find(b"\0" + name.encode() + b"\0")
        if at >= 0:
            wanted[at + 1] = name
    head = struct.Struct(f"{types.order}III").unpack_from
    for type_id in range(1, len(types.offsets)):
        name_at, info, size = head(types.data, types.offsets[type_id])
        if name_at in wanted and info >> 24 & 31 == STRUCT:
            members = tuple(_members(types, type_id))
            yield StructLayout(wanted.pop(name_at), size, members, holds_free_pointer(types, type_id))


def _members(types: _Types, type_id: int) -> Iterator[StructMember]:
    """The members in their order; an anonymous struct or union is one member without a name."""
    _, info, _ = struct.unpack_from(f"{types.order}III", types.data, types.offsets[type_id])
    bitfields = bool(info >> 31)
    for index in range(info & 0xFFFF):
        at = types.offsets[type_id] + 12 + 12 * index
        name_at, member_type, offset = struct.unpack_from(f"{types.order}III", types.data, at)
        bits = offset >> 24 if bitfields else 0
        first_bit = offset & 0xFFFFFF if bitfields else offset
        size = (first_bit % 8 + bits + 7) // 8 if bits else size_bytes(types, member_type)
        yield StructMember(types.name(name_at), first_bit // 8, size, bits or None)


def holds_free_pointer(types: _Types, type_id: int) -> bool:
    """Whether a struct has the allocator's free pointer in it: a member of type freeptr_t (include/linux/slab.h)."""
    seen: set[int] = set()
    left = [type_id]
    while left:
        at = left.pop()
        if at in seen:
            continue
        seen.add(at)
        name_at, kind, count, inner = types.header(at)
        if kind in SAME_SIZE_KINDS:
            if types.name(name_at) == FREE_POINTER_TYPE:
                return True
            left.append(inner)
        elif kind in (STRUCT, UNION):
            first = types.offsets[at] + 12
            left += (struct.unpack_from(f"{types.order}III", types.data, first + 12 * k)[1] for k in range(count))
    return False


def size_bytes(types: _Types, type_id: int, depth: int = 0) -> int:
    """The size of a type; raises ValueError for one that has none or that never ends."""
    if depth > MAX_DEPTH:
        raise ValueError("types that lead in a circle")
    _, kind, _, size = types.header(type_id)
    if kind in SIZED_KINDS:
        return size
    if kind == PTR:
        return POINTER_BYTES
    if kind in SAME_SIZE_KINDS:
        return size_bytes(types, size, depth + 1)
    if kind == ARRAY:
        element, _, count = struct.unpack_from(f"{types.order}III", types.data, types.offsets[type_id] + 12)
        return int(count) * size_bytes(types, element, depth + 1)
    return 0
