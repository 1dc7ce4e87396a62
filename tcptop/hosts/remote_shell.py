r"""The program that reads files on another machine over ssh, its requests, and the splitting of its answers.

The module does no input or output. The program is a text for any POSIX shell. The program calls only head, cat, ls and,
if gzip is installed, gzip. Each line of the program's standard input is one request. The requests and their answers:

- `d ID PATH...` gives the number ID to a list of files, and has no answer.
- `h ID...` returns all files of the lists, by one `head`, which prints `==> /path <==` before each file.
- `w ID` says for each file of a list why `head` may omit the file: `missing PATH`, `refused PATH` or `other PATH`.
- `c PATH` returns the contents of one file, packed with gzip if the greeting says `gzip`.
- `l PATH` returns the names in a folder and the targets of links, by `ls -ln`.
- `t` returns the CPU time of the shell and its children.

Each answer ends in a line feed, the nonce of the session, a blank, the exit code and a line feed. No file contains the
nonce, because only the two ends of the session know the nonce.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from tcptop.kernel.architecture import PAGE_SIZES

ALLOWED = """\
proc/buddyinfo|proc/cgroups|proc/cmdline|proc/filesystems|proc/kallsyms|proc/meminfo|proc/pagetypeinfo
proc/slabinfo|proc/stat|proc/version|proc/zoneinfo
proc/net/netstat|proc/net/protocols|proc/net/snmp|proc/net/sockstat|proc/net/sockstat6|proc/net/tls_stat
proc/net/stat/nf_conntrack
proc/sys/fs/file-nr|proc/sys/fs/nr_open|proc/sys/kernel/hostname|proc/sys/kernel/osrelease
proc/sys/net/core/mem_pcpu_rsv|proc/sys/net/ipv4/ip_local_port_range|proc/sys/net/ipv4/ip_local_reserved_ports
proc/sys/net/ipv4/tcp_max_orphans|proc/sys/net/ipv4/tcp_max_tw_buckets|proc/sys/net/ipv4/tcp_mem
proc/sys/net/netfilter/nf_conntrack_count|proc/sys/net/netfilter/nf_conntrack_max
proc/sys/vm/mem_profiling|proc/sys/vm/zone_reclaim_mode
sys/devices/system/cpu/online|sys/devices/system/cpu/possible|sys/devices/system/cpu/present
sys/devices/system/node|sys/devices/system/node/*
sys/firmware/dmi/tables/DMI|sys/firmware/dmi/tables/smbios_entry_point
sys/fs/cgroup/*|sys/kernel/btf/vmlinux|sys/kernel/notes|sys/kernel/security/lsm
sys/kernel/slab|sys/kernel/slab/*|sys/module|sys/module/apparmor/parameters/enabled
""".splitlines()
"""Patterns of the paths that the remote program reads. In the shell's `case`, `*` matches slashes too."""

NOT_ALLOWED, MISSING, REFUSED = 102, 103, 104
"""Exit codes of the requests `c` and `l`: the path is not in `ALLOWED`, it does not exist, or reading it is refused."""

BOOT_ID = "proc/sys/kernel/random/boot_id"
SERVE = "tcptop_serve"
"""Name of the shell function that answers requests. A line with this name and the nonce calls the function."""

_ALLOWED_LINES = "|\\\n    ".join(ALLOWED)

SCRIPT = f"""\
tcptop_allows() {{
  case $1 in *..*|*[!A-Za-z0-9/._:@,+\\\\-]*) return 1;; esac
  case $1 in
    {_ALLOWED_LINES}) return 0;;
  esac
  return 1
}}
tcptop_end() {{ printf '\\n%s %s\\n' "$nonce" "$1"; }}
tcptop_opens() {{
  code=0
  if ! tcptop_allows "$1"; then code={NOT_ALLOWED}
  elif [ ! -e "/$1" ]; then code={MISSING}
  elif [ ! -r "/$1" ]; then code={REFUSED}; fi
  return $code
}}
{SERVE}() {{
  nonce=$1 zip=cat
  set -f
  IFS=' '
  LC_ALL=C
  export LC_ALL
  unset TIME_STYLE QUOTING_STYLE BLOCK_SIZE LS_BLOCK_SIZE POSIXLY_CORRECT GZIP
  command -v gzip >/dev/null 2>&1 && zip='gzip -1c'
  page=$(getconf PAGESIZE 2>/dev/null </dev/null) boot=
  {{ read -r boot </{BOOT_ID}; }} 2>/dev/null
  case $boot in ''|*[!0-9a-f-]*) boot=-;; esac
  printf '\\n%s hello %s %s %s %s %s\\n' "$nonce" "$(id -u)" "${{page:--}}" "$(uname -s)" "${{zip%% *}}" "$boot"
  while read -r word rest; do
    case $word in
    d)
      id=${{rest%% *}} list=
      case $id in ''|*[!0-9]*) continue;; esac
      for path in ${{rest#* }}; do tcptop_allows "$path" && list="$list /$path"; done
      eval "list$id=\\$list"
      ;;
    h)
      set --
      for id in $rest; do
        case $id in *[!0-9]*) continue;; esac
        eval "list=\\$list$id"
        set -- "$@" /dev/null $list
      done
      head -n 1000000 "$@" </dev/null 2>/dev/null
      tcptop_end $?
      ;;
    w)
      case $rest in ''|*[!0-9]*) list=;; *) eval "list=\\$list$rest";; esac
      for path in $list; do
        if [ ! -e "$path" ]; then echo "missing $path"
        elif [ ! -r "$path" ]; then echo "refused $path"
        else echo "other $path"; fi
      done
      tcptop_end 0
      ;;
    c) tcptop_opens "$rest" && {{ $zip <"/$rest" 2>/dev/null; code=$?; }}; tcptop_end $code ;;
    l) tcptop_opens "$rest" && ls -ln "/$rest/" </dev/null 2>/dev/null; tcptop_end $code ;;
    t) times; tcptop_end 0 ;;
    esac
  done
}}
"""
"""The functions of the program, for any POSIX shell."""

PROGRAM = f"""\
#!/bin/sh
# Reads kernel files for `tcptop --host`, and nothing else: see "Over ssh" in docs/security.md.
{SCRIPT}# tcptop sends these same functions first, and then the line that begins to serve.
while read -r word nonce; do
  [ "$word" = {SERVE} ] && {SERVE} "$nonce"
done
"""
"""The program as a file, which the administrator can install as the only command that an ssh key or a sudo rule
allows."""

PROGRAM_PATH = "/usr/local/lib/tcptop/remote"

MAX_BEFORE_HELLO_BYTES = 64 << 10
PATH = re.compile(r"(?:proc|sys)(?:/[A-Za-z0-9._:@,+\\-]+)+")
HELLO = (
    rb"\n%b hello ([0-9]{1,10}) ([0-9]{1,7}|-) ([A-Za-z0-9_.-]{1,40}) (gzip|cat)"
    rb"(?: (?:-|([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})))?\n"
)
"""The greeting, after the nonce is put in. The programs of earlier versions do not print the boot ID at its end."""
SEPARATOR = "/dev/null"
HEADER = re.compile(rb"\n==> (/[^\n]*) <==(?=\n)")
FIRST_HEADER = re.compile(rb"==> (/[^\n]*) <==(?=\n)")
"""Matches a header at the start of an answer; `HEADER` matches all later headers. A single pattern for all headers
would be ten times as slow as the two patterns, since the single pattern would be tried at each byte."""
LS_LINE = re.compile(r"([-a-z])\S* +[0-9]+ +[0-9]+ +[0-9]+ +(?:[0-9]+, *)?[0-9]+ +\S+ +\S+ +\S+ ([^\n]+)")
TIME = re.compile(r"\b([0-9]{1,9})m([0-9]{1,2}(?:\.[0-9]{1,9})?)s")


class Hello(NamedTuple):
    """The greeting of the remote program."""

    uid: int
    page_size_bytes: int | None
    """Page size, one of PAGE_SIZES; None if the machine reports any other value."""
    system: str
    packs: bool
    """True if the answer to `c` is packed with gzip."""
    boot_id: str | None = None
    """The kernel's ID of this boot; None if it cannot be read, or if the machine has an older remote program."""


def can_ask(path: str) -> bool:
    """True if a request may name the path: a path below proc or sys, without `..`, that matches `PATH`."""
    return PATH.fullmatch(path) is not None and ".." not in path.split("/") and len(path) < 1000


def start_text(nonce: str) -> str:
    """The text that starts the program in a shell. The first request must be sent only after the greeting has arrived.

    dash and busybox read ahead, and would run an early request as a part of the program.
    """
    return f"{SCRIPT}{SERVE} {nonce}\n"


def remote_command(sudo: bool) -> str:
    """The command for the login shell, which may be any shell. The command has no character that a shell expands."""
    if not sudo:
        return "exec /bin/sh"
    file = f"test -x {PROGRAM_PATH} && exec sudo -n {PROGRAM_PATH}"
    return f'exec /bin/sh -c "{file}; exec sudo -n /bin/sh"'


def find_hello(data: bytes, nonce: str) -> tuple[Hello, int] | None:
    """The greeting in the first bytes of a session, and the offset of the greeting's end; None if it has not arrived.

    Skips any text before the greeting, which the login shell may have printed.
    """
    match = re.search(HELLO % nonce.encode("ascii"), data)
    if match is None:
        return None
    uid, page, system, packer, boot_id = (group.decode("ascii") for group in match.groups(b""))
    size = None if page == "-" else int(page)
    hello = Hello(int(uid), size if size in PAGE_SIZES else None, system, packer == "gzip", boot_id or None)
    return hello, match.end()


def split_files(data: bytes, lists: Sequence[Sequence[str]]) -> list[dict[str, bytes]]:
    """Splits the answer to `h`: for each list, the bytes of the files that could be opened, by path.

    A file may contain a line that looks like a header. The line counts as a header only if it names a path of the
    request. `head` prints the headers in the order of the request. No file is returned if a header breaks this order or
    occurs too often, or if the header before a list is missing.
    """
    expected: list[tuple[int, str]] = []
    places: dict[bytes, list[int]] = {}
    for number, paths in enumerate(lists):
        for path in ("", *paths):
            places.setdefault(f"/{path}".encode() if path else SEPARATOR.encode(), []).append(len(expected))
            expected.append((number, path))
    files: list[dict[str, bytes]] = [{} for _ in lists]
    nothing: list[dict[str, bytes]] = [{} for _ in lists]
    found: list[tuple[int, int, int]] = []
    next_place = 0
    first = FIRST_HEADER.match(data)
    for match in chain(() if first is None else (first,), HEADER.finditer(data)):
        own = places.get(match[1])
        if own is None:
            continue
        at = bisect_left(own, next_place)
        if at == len(own):
            return nothing
        found.append((own[at], match.start(), match.end() + 1))
        next_place = own[at] + 1
    separators = [place for place, _, _ in found if not expected[place][1]]
    if not found or separators != places[SEPARATOR.encode()]:
        return nothing
    ends = [start for _, start, _ in found[1:]] + [len(data)]
    for (place, _, start), end in zip(found, ends, strict=True):
        number, path = expected[place]
        if path:
            files[number][path] = data[start:end]
    return files


def parse_reasons(data: bytes) -> dict[str, str]:
    """The answer to `w`: maps each path to one of the words `missing`, `refused` and `other`."""
    rows = (line.partition(" ") for line in data.decode("utf-8", "replace").split("\n"))
    return {
        path[1:]: word for word, _, path in rows if path.startswith("/") and word in ("missing", "refused", "other")
    }


def parse_ls(data: bytes) -> dict[str, str | None]:
    """The answer to `l`: maps the name of a link to its target, and any other name to None."""
    entries: dict[str, str | None] = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        match = LS_LINE.fullmatch(line)
        if match is not None:
            name, arrow, target = match[2].partition(" -> ")
            entries[name if match[1] == "l" else match[2]] = target if match[1] == "l" and arrow else None
    return entries


def parse_cpu_us(data: bytes) -> int:
    """The answer to `t`: the CPU time in microseconds that the shell has used, from the output of `times`."""
    times = TIME.findall(data[:400].decode("ascii", "replace"))
    return sum(int(minutes) * 60_000_000 + int(float(seconds) * 1e6) for minutes, seconds in times)
