"""/sys/kernel/btf/vmlinux (Documentation/bpf/btf.rst): the layout of every struct of the running kernel.

Any user may read the file. The module returns the layouts of the structs that the catalogue names, and the offsets of
the members that link objects.
"""

import struct
import sys
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from tcptop.hosts.host import Host
from tcptop.kernel.buffer_counter import has_reserves
from tcptop.kernel.objects import unknown_security_modules
from tcptop.kernel.release import release_numbers
from tcptop.snapshot import Btf, Reading, StructLayout, StructMember, Sysctls
from tcptop.sources.source import Damage, Pace, Source, failed_reading, make_reading
from tcptop.text.printable import decode_text, printable_name

PATH = "sys/kernel/btf/vmlinux"
MAGIC = 0xEB9F
HEADER = "HBBIIIII"

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FLOAT, TYPE_TAG, ENUM64 = 16, 18, 19
QUALIFIERS = (VOLATILE, CONST, RESTRICT, TYPE_TAG)
SAME_SIZE_KINDS = (TYPEDEF, *QUALIFIERS)
SIZED_KINDS = (INT, STRUCT, UNION, ENUM, FLOAT, ENUM64)

WORD_BYTES = 4
HEADER_WORDS = 3
"""Number of 32-bit words in struct btf_type: one for the name, one for `info`, and one for the size or the type ID."""
TAIL_WORDS = {INT: 1, ARRAY: 3, 14: 1, 17: 1}
"""Number of 32-bit words after the header of a type, by the type's kind. Kind 14 is VAR, kind 17 is DECL_TAG."""
MEMBER_WORDS = {STRUCT: 3, UNION: 3, ENUM: 2, 13: 2, 15: 3, ENUM64: 3}
"""Number of 32-bit words for each member of a type, by the type's kind. Kind 13 is FUNC_PROTO, kind 15 is DATASEC."""
LAST_KIND = 19

LONG_NAMES = ("long unsigned int", "unsigned long")
"""Name of C's `unsigned long`, as large as a pointer in every Linux kernel: that of GCC, and that of clang."""
POINTER_BYTES = 8
"""Size of a pointer if BTF lacks `unsigned long`."""
FREE_POINTER_TYPE = "freeptr_t"
MAX_DEPTH = 32
MAX_MEMBERS = 4000
"""Maximum number of members of a struct, including members of embedded structs; kernel structs have far fewer."""
MAX_NAME_BYTES = 512
"""Maximum number of bytes of a name that are read.

The kernel's own limit is 512 (include/linux/kallsyms.h, KSYM_NAME_LEN).
"""
MAX_STRUCT_BYTES = 1 << 32
MAX_CACHED_INFOS = 4096


class BtfSource(Source[Btf]):
    """A source that is read at most once a day, because BTF never changes while the kernel runs.

    Parsing the 100 000 types of a kernel takes about 50 ms.
    """

    name = "btf"
    paths = (PATH,)
    pace = Pace(min_period_s=86_400.0, retry_s=86_400.0)

    def __init__(
        self,
        structs: Collection[str],
        modules: Collection[str] = (),
        members: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Takes the names of the wanted structs, and the names of those Linux security modules for which BTF is needed.

        For every socket, each module in `modules` allocates a struct whose name is in `structs`. `members` maps a
        struct to the members whose offsets are wanted.
        """
        self._structs = frozenset(structs)
        self._members = members
        self._modules = frozenset(modules)

    def not_needed_reason(self, others: Mapping[str, Reading[Any]]) -> str | None:
        """The reason why BTF is not needed; None if BTF is needed.

        BTF is needed for the sizes of structs if slabinfo cannot be read. BTF is also needed for the size of the data
        that Linux security modules keep for each socket, and for sockstat's counter of buffers if the kernel's release
        does not tell its unit.
        """
        slabinfo, modules = others.get("slabinfo"), others.get("security_modules")
        sysctls = others.get("sysctls")
        if sysctls is not None and sysctls.value is not None and _may_have_reserves(sysctls.value):
            return None
        if slabinfo is not None and slabinfo.value is None and slabinfo.state != "late":
            return None
        if modules is None or modules.value is None:
            return "not read: slabinfo is readable, and which security modules keep data for each socket is not known"
        if self._modules.intersection(modules.value.names):
            return None
        unknown = unknown_security_modules(modules.value.names)
        if unknown:
            return (
                f"not read: slabinfo is readable, and BTF does not show what {', '.join(unknown)} keeps for each socket"
            )
        return "not read: slabinfo has the sizes, and no listed security module keeps data for each socket"

    async def read(self, host: Host) -> Reading[Btf]:
        """Reads and parses the file."""
        [file] = await host.read([PATH])
        failed: Reading[Btf] | None = failed_reading(file)
        if failed is not None:
            return failed
        value, damage = parse(file.data or b"", self._structs, self._members)
        return make_reading(value, damage, PATH, file.took_us)


def _may_have_reserves(sysctls: Sysctls) -> bool:
    """True if neither the sysctls nor the release tell whether sockstat's counter of buffers leaves out reserves."""
    release = release_numbers(sysctls.kernel_release)
    unknown = release is not None and has_reserves(release, sysctls.kernel_release) is None
    return unknown and sysctls.memory_per_cpu_reserve_pages is None


class _Types(NamedTuple):
    """The two sections of BTF: types and strings.

    `words` is the type section as 32-bit words, and `names` is the string section. `starts` maps
    a type ID to the index in `words` at which the type begins.
    """

    words: Sequence[int]
    names: bytes
    starts: list[int]
    pointer_bytes: int = POINTER_BYTES

    def header(self, type_id: int) -> tuple[int, int, int, int]:
        """Four fields of a type: the name's offset, the kind, the number of members (vlen), and a size or a type ID.

        Types of some kinds have a size; types of other kinds have the ID of another type.
        """
        start = self.starts[type_id]
        name, info, size = self.words[start : start + HEADER_WORDS]
        return name, info >> 24 & 31, info & 0xFFFF, size

    def name(self, offset: int) -> str:
        """The text at an offset in the string section."""
        return printable_name(decode_text(self.names[offset : offset + MAX_NAME_BYTES].partition(b"\0")[0]))


def parse(
    data: bytes, structs: Collection[str], members: Mapping[str, Collection[str]] = MappingProxyType({})
) -> tuple[Btf | None, Damage | None]:
    """Parses BTF. Returns the layouts of the `structs` and the offsets of the `members`, as far as the kernel has them.

    Never raises.
    """
    try:
        types, found = _find_structs(data, {*structs, *members})
        return Btf(
            {name: _layout(types, name, type_id) for name, type_id in found.items() if name in structs},
            {name: _offsets(types, found[name], paths) for name, paths in members.items() if name in found},
        ), None
    except (struct.error, ValueError, IndexError) as error:
        return None, Damage("strange", f"not understood as BTF ({error})")


def _find_structs(data: bytes, names: Collection[str]) -> tuple[_Types, dict[str, int]]:
    """Returns all types, and a mapping from the name of each wanted struct in the kernel to the struct's type ID."""
    words, strings = _sections(data)
    # The string section holds each name once, so one offset stands for one name.
    wanted = {offset: name for name in (*names, *LONG_NAMES) if (offset := _find_name(strings, name)) is not None}
    starts, named = _index_types(words, wanted)
    types = _Types(words, strings, starts)
    found: dict[str, int] = {}
    for type_id in named:
        name_at, kind, _, size = types.header(type_id)
        name = wanted[name_at]
        if kind == STRUCT:
            found.setdefault(name, type_id)
        elif kind == INT and size in (4, 8):
            types = types._replace(pointer_bytes=size)
    return types, found


def _layout(types: _Types, name: str, type_id: int) -> StructLayout:
    members = tuple(islice(_members(types, type_id), MAX_MEMBERS + 1))
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"more than {MAX_MEMBERS} members in one struct")
    holds = holds_free_pointer(types, type_id, _find_name(types.names, FREE_POINTER_TYPE))
    return StructLayout(name, types.header(type_id)[3], members, holds)


def _offsets(types: _Types, type_id: int, paths: Collection[str]) -> dict[str, int]:
    """The offset in bytes of each member in `paths` that the struct has; `a.b` is the path of member b in member a."""
    found: dict[str, int] = {}
    for path in paths:
        inner, bits = type_id, 0
        for name in path.split("."):
            member = _find_member(types, inner, name, set())
            if member is None:
                break
            inner, bits = member[0], bits + member[1]
        else:
            found[path] = bits // 8
    return found


def _find_member(types: _Types, type_id: int, name: str, seen: set[int]) -> tuple[int, int] | None:
    """The type ID and the first bit of a member of a struct or union; None if the member is not found.

    Members of anonymous structs and unions in the struct or union are found too.

    `seen` is the set of types that have been searched.
    """
    type_id = strip_qualifiers(types, type_id)
    if type_id in seen or len(seen) > MAX_DEPTH or types.header(type_id)[1] not in (STRUCT, UNION):
        return None
    seen.add(type_id)
    for name_at, member_type, first_bit, _ in _direct_members(types, type_id):
        own = types.name(name_at)
        if own == name:
            return member_type, first_bit
        inner = None if own else _find_member(types, member_type, name, seen)
        if inner is not None:
            return inner[0], first_bit + inner[1]
    return None


def _find_name(names: bytes, name: str) -> int | None:
    """The offset of a name in the string section; None if the section lacks the name."""
    at = names.find(b"\0" + name.encode() + b"\0")
    return None if at < 0 else at + 1


def _sections(data: bytes) -> tuple[Sequence[int], bytes]:
    """The type section as 32-bit words, and the string section. Raises ValueError or struct.error if BTF is damaged."""
    order = "<" if data[:2] == MAGIC.to_bytes(2, "little") else ">"
    magic, version, _, length, type_at, type_length, name_at, name_length = struct.unpack_from(order + HEADER, data)
    if magic != MAGIC or version != 1:
        raise ValueError("no BTF version 1")
    body = data[length + type_at : length + type_at + type_length]
    names = data[length + name_at : length + name_at + name_length]
    if len(body) < type_length or len(names) < name_length or type_length % WORD_BYTES:
        raise ValueError("cut off")
    words = array("I", body)
    if order != ("<" if sys.byteorder == "little" else ">"):
        words.byteswap()
    return words, names


def _index_types(words: Sequence[int], wanted: Collection[int]) -> tuple[list[int], list[int]]:
    """Returns two lists: where each type begins, and which types have a wanted name.

    The first list has the index of each type's first word, by type ID. The second list has the IDs of the types whose
    names are at the offsets in `wanted`.
    """
    starts = [0]  # type ID 0 is void, which has no record
    named: list[int] = []
    start, end = 0, len(words)
    record_words = _RecordWords()
    while start < end:
        if words[start] in wanted:
            named.append(len(starts))
        starts.append(start)
        start += record_words[words[start + 1]]
    return starts, named


class _RecordWords(dict[int, int]):
    """Maps the word `info` of a type to the number of 32-bit words in the type's record.

    The numbers are cached, because only a few different values of `info` occur.
    """

    def __missing__(self, info: int) -> int:
        kind = info >> 24 & 31
        if kind > LAST_KIND:
            raise ValueError(f"type kind {kind} is newer than this program")
        words = HEADER_WORDS + TAIL_WORDS.get(kind, 0) + MEMBER_WORDS.get(kind, 0) * (info & 0xFFFF)
        if len(self) < MAX_CACHED_INFOS:
            self[info] = words
        return words


def _members(
    types: _Types, type_id: int, prefix: str = "", base_bit: int = 0, depth: int = 0
) -> Iterator[StructMember]:
    """Yields the members of a struct in order; members of an embedded struct have dotted names.

    A union, an array, and a member whose type is a typedef (spinlock_t, atomic_t) count as one member each.
    """
    if depth > MAX_DEPTH:
        raise ValueError("structs that contain each other")
    for name_at, member_type, offset, bits in _direct_members(types, type_id):
        name = types.name(name_at)
        first_bit = base_bit + offset
        inner = strip_qualifiers(types, member_type)
        if bits:
            size = (first_bit % 8 + bits + 7) // 8
            yield StructMember(prefix + name, first_bit // 8, size, bits)
        elif types.header(inner)[1] == STRUCT and types.header(inner)[2]:
            yield from _members(types, inner, f"{prefix}{name}." if name else prefix, first_bit, depth + 1)
        else:
            label = name or union_label(types, inner)
            yield StructMember(prefix + label, first_bit // 8, size_bytes(types, member_type), None)


def _direct_members(types: _Types, type_id: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields four numbers for each member of a struct or union: name's offset, type ID, first bit, bit-field width.

    The width is 0 if the member is not a bit-field.
    """
    start = types.starts[type_id]
    info = types.words[start + 1]
    bitfields = bool(info >> 31)
    for index in range(info & 0xFFFF):
        at = start + HEADER_WORDS + MEMBER_WORDS[STRUCT] * index
        name_at, member_type, offset = types.words[at : at + MEMBER_WORDS[STRUCT]]
        if bitfields:
            yield name_at, member_type, offset & 0xFFFFFF, offset >> 24
        else:
            yield name_at, member_type, offset, 0


def strip_qualifiers(types: _Types, type_id: int) -> int:
    """The ID of the type behind const, volatile, restrict and type tags. Raises ValueError if types form a cycle."""
    for _ in range(MAX_DEPTH):
        _, kind, _, inner = types.header(type_id)
        if kind not in QUALIFIERS:
            return type_id
        type_id = inner
    raise ValueError("types that refer to each other")


def union_label(types: _Types, type_id: int) -> str:
    """The label of an anonymous union: its first member's name, followed by `|...`, such as `skc_addrpair|...`.

    An unnamed first member is replaced by its own first member, until a member has a name. The label is empty if no
    name is found.
    """
    for _ in range(MAX_DEPTH):
        _, kind, _, _ = types.header(type_id)
        first = next(_direct_members(types, type_id), None) if kind in (STRUCT, UNION) else None
        if first is None:
            return ""
        name_at, member_type, _, _ = first
        if name := types.name(name_at):
            return f"{name}|..."
        type_id = strip_qualifiers(types, member_type)
    return ""


def holds_free_pointer(types: _Types, type_id: int, free_pointer_name: int | None) -> bool:
    """True if a struct contains a member of type freeptr_t, the allocator's free pointer (include/linux/slab.h).

    `free_pointer_name` is the offset of the name `freeptr_t` in the string section; None if the kernel lacks the type.
    Raises ValueError if the struct contains more types than any kernel struct contains.
    """
    if free_pointer_name is None:
        return False
    seen: set[int] = set()
    left = [type_id]
    while left:
        at = left.pop()
        if at in seen:
            continue
        seen.add(at)
        if len(seen) > MAX_MEMBERS:
            raise ValueError(f"more than {MAX_MEMBERS} types in one struct")
        name_at, kind, _, inner = types.header(at)
        if kind in SAME_SIZE_KINDS:
            if name_at == free_pointer_name:
                return True
            left.append(inner)
        elif kind in (STRUCT, UNION):
            left += (member_type for _, member_type, _, _ in _direct_members(types, at))
    return False


def size_bytes(types: _Types, type_id: int, depth: int = 0) -> int:
    """The size of a type in bytes; 0 for a function, which has no size. Raises ValueError if types form a cycle."""
    if depth > MAX_DEPTH:
        raise ValueError("types that refer to each other")
    _, kind, _, size = types.header(type_id)
    if kind in SIZED_KINDS:
        return size
    if kind == PTR:
        return types.pointer_bytes
    if kind in SAME_SIZE_KINDS:
        return size_bytes(types, size, depth + 1)
    if kind == ARRAY:
        tail = types.starts[type_id] + HEADER_WORDS
        element, _, count = types.words[tail : tail + TAIL_WORDS[ARRAY]]
        size = int(count) * size_bytes(types, element, depth + 1)
        if size > MAX_STRUCT_BYTES:
            raise ValueError("an array that is larger than any struct")
        return size
    return 0
