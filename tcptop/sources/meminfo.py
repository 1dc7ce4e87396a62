"""/proc/meminfo (fs/proc/meminfo.c, meminfo_proc_show), and the parser of a node's meminfo (drivers/base/node.c)."""

from __future__ import annotations

from tcptop.snapshot import Meminfo
from tcptop.sources.source import Damage, FileSource, parse_count, report_repeated

FIELDS = (
    *("MemTotal", "MemFree", "MemAvailable", "Cached", "AnonPages", "Slab", "Buffers"),
    *("Active(file)", "Inactive(file)", "KReclaimable", "SReclaimable", "SUnreclaim", "HighTotal", "Hugetlb"),
)
"""The fields of /proc/meminfo from which the program computes figures."""


class MeminfoSource(FileSource[Meminfo]):
    """A source that is read at every interval, because the kernel takes no lock to print the file."""

    name = "meminfo"
    paths = ("proc/meminfo",)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Meminfo:
        """Parses the fields that Meminfo has; converts kB into bytes."""
        fields = parse_fields_bytes(lines, damages)
        if not fields:
            raise ValueError("no line has the form `MemTotal: 16 kB`")
        damages += [
            Damage("strange", f"{name} is not a number of kB")
            for name in FIELDS
            if name not in fields and any(line.startswith(f"{name}:") for line in lines)
        ]
        if not any(line.startswith("MemTotal:") for line in lines):  # every kernel prints it
            damages.append(Damage("strange", "no line begins with MemTotal:"))
        # The kernel always prints DirectMap4k and DirectMap2M (or 4M). Only a kernel that uses pages of 1 GiB also
        # prints DirectMap1G.
        mapped = [size for name, size in fields.items() if name.startswith("DirectMap")]
        active, inactive = fields.get("Active(file)"), fields.get("Inactive(file)")
        huge_pages, huge_page_size = parse_huge_pages(lines), fields.get("Hugepagesize")
        default_pool = None if huge_pages is None or huge_page_size is None else huge_pages * huge_page_size
        return Meminfo(
            total_bytes=fields.get("MemTotal"),
            available_bytes=fields.get("MemAvailable"),
            slab_bytes=fields.get("Slab"),
            free_bytes=fields.get("MemFree"),
            cached_bytes=fields.get("Cached"),
            anonymous_bytes=fields.get("AnonPages"),
            file_bytes=None if active is None or inactive is None else active + inactive,
            reclaimable_bytes=fields.get("KReclaimable")
            if any(line.startswith("KReclaimable:") for line in lines)
            else fields.get("SReclaimable"),
            reclaimable_slab_bytes=fields.get("SReclaimable"),
            unreclaimable_slab_bytes=fields.get("SUnreclaim"),
            buffers_bytes=fields.get("Buffers"),
            direct_map_bytes=sum(mapped) if len(mapped) > 1 else None,
            high_total_bytes=fields.get("HighTotal"),
            huge_page_bytes=fields.get("Hugetlb", default_pool),
            huge_page_size_bytes=huge_page_size,
            huge_pages=huge_pages,
        )


def parse_huge_pages(lines: list[str]) -> int | None:
    """The number of huge pages of the default size: `HugePages_Total: 3` or `Node 0 HugePages_Total: 3`."""
    for line in lines:
        label, _, number = line.partition(":")
        if label.split()[-1:] == ["HugePages_Total"]:
            try:
                return parse_count(number.strip())
            except ValueError:
                return None
    return None


def parse_fields_bytes(lines: list[str], damages: list[Damage]) -> dict[str, int]:
    """Parses lines such as `MemTotal: 16 kB` and `Node 0 MemTotal: 16 kB`; returns bytes by field name.

    If two lines have the same name, the first line is used, and the second line is recorded as damage.
    """
    found: dict[str, int] = {}
    repeated: list[str] = []
    for line in lines:
        label, _, amount = line.partition(":")
        words = amount.split()
        if len(words) == 2 and words[1] == "kB" and label:
            try:
                name, size = label.split()[-1], parse_count(words[0]) << 10
            except (ValueError, IndexError):
                continue
            if name in found:
                repeated.append(name)
            found.setdefault(name, size)
    report_repeated(repeated, damages)
    return found
