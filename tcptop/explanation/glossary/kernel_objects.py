"""Words of the kernel's objects: the structs of a socket and the caches that hold them."""

from tcptop.explanation.glossary.entry import TCP_STATES, Entry

OBJECT_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "SLUB",
        "The part of the kernel that cuts pages into objects: the slab allocator of today's kernels.",
        "It replaced SLOB, taken out in Linux 6.4, and SLAB, taken out in 6.8.",
        "mm/slub.c",
    ),
    Entry(
        "spacing",
        "The bytes from the start of one object of a slab to the start of the next.",
        "It is the size of the struct with its alignment, its free pointer and the fields of slab_debug. The column OBJ"
        " SIZE has it.",
        "/sys/kernel/slab/*/slab_size",
        ("asked for",),
    ),
    Entry(
        "slab share",
        "The bytes of a slab divided by the number of its objects: what one object takes in pages.",
        "It is larger than the spacing by the part of what is left over.",
        "/sys/kernel/slab/*/objs_per_slab and order",
    ),
    Entry(
        "left over",
        "The bytes at the end of a slab that are too few for one more object.",
        "They are divided among the objects of the slab, so that the figures add up to whole pages.",
        "mm/slub.c, calculate_order()",
    ),
    Entry(
        "alignment",
        "The rule that an object begins at a multiple of some number of bytes, often of a cache line of the CPU.",
        "A cache line is what the CPU reads from memory at once, mostly 64 bytes. The bytes up to the next such"
        " multiple are unused.",
        "/sys/kernel/slab/*/align; mm/slab_common.c, calculate_alignment()",
        ("aligned", "whole cache lines", "cache line"),
    ),
    Entry(
        "loss",
        "The bytes of a cache's slabs without a struct in use: between objects, at ends of slabs and in free objects.",
        "slabinfo of the kernel's sources prints it under the same name. Between objects are padding, alignment, the"
        " free pointer, and the fields of slab_debug where it is on. Free objects on CPUs' lists count as used.",
        "tools/mm/slabinfo.c, report()",
        ("used bytes", "ends of slabs", "between objects"),
    ),
    Entry(
        "in structs",
        "On the page of a cache: how many bytes of its slabs are in the structs of active objects, and of how many.",
        "The rest is the loss. ≤ stands if some active objects may be free, on CPUs' lists.",
        "/proc/slabinfo; /sys/kernel/slab/*/object_size",
    ),
    Entry(
        "one slab",
        "On the page of a cache: a bar of one slab, in which all its objects have the same width.",
        "█ and ▓ in turn tell each object from the next; ░ is what is left over at the end of the slab. There is no bar"
        " where the objects would be too narrow.",
        "/proc/slabinfo",
        ("in turn",),
    ),
    Entry(
        "one object",
        "On the page of a cache: a map of its struct, with a sign for each word of 8 bytes.",
        "█: members use all bytes of the word; ▒: some of them; ░: none, since it is a hole or padding. The padding of"
        " the cache behind the struct is not drawn: the line `spacing` has it.",
        "/sys/kernel/btf/vmlinux",
        ("used in part", "8 B each"),
    ),
    Entry(
        "in states",
        "On the page of a cache: the states of TCP in which a socket has the object.",
        "`all but` names the states without it. SYN_SENT, FIN_WAIT1, CLOSING and LAST_ACK have what ESTABLISHED has;"
        " after close(2) the last three have what an orphan has.",
        TCP_STATES,
    ),
    Entry(
        "partly used",
        "Slabs with objects in use and free ones, which wait on a list of their node for the next object.",
        "A slab that a CPU holds is not among them. The tool slabinfo calls them partial slabs.",
        "/sys/kernel/slab/*/partial",
        ("partial", "partly full", "full slabs"),
    ),
    Entry(
        "held by CPUs",
        "Slabs (SLABS HELD), or free objects, that a CPU has taken for itself, to need no lock.",
        "A CPU may hold several slabs of a cache, or none: on 7.3 it keeps free objects on its lists, not slabs."
        " slabinfo counts these free objects as active, so that ACTIVE may be too high by them, and idle memory too"
        " low. How many are free is not shown: at most as many as fit on the lists of all CPUs, and of TCP's and"
        " TCPv6's caches, at most the active objects beyond the number of sockets.",
        "/sys/kernel/slab/*/cpu_slabs and cpu_partial; mm/slub.c, struct kmem_cache_cpu",
        (
            "SLABS HELD",
            "slabs held by CPUs",
            "held by a CPU",
            "on CPUs",
            "CPUs' lists",
            "lists of CPUs",
            "per-CPU",
            "per CPU",
            "CPU list",
        ),
    ),
    Entry(
        "flags",
        "On the page of a cache: how the kernel lays out and frees its objects.",
        "aligned, whole cache lines: objects begin at such addresses; slabs freed after an RCU grace period:"
        " a CPU may look at an object just freed; counted as reclaimable: the kernel can shrink the cache; from the DMA"
        " zone.",
        "/sys/kernel/slab/*/align, hwcache_align, destroy_by_rcu, reclaim_account, cache_dma",
        ("flag",),
    ),
    Entry(
        "SMALLEST",
        "On the page of free blocks: the smallest block that holds one object of the cache.",
        "If no block of the preferred order is free, slabs of this cache are made of smaller ones, down to this size.",
        "mm/slub.c, allocate_slab()",
    ),
    Entry(
        "debugging of slabs",
        "Checks that find users who write beside an object, or after it is freed: red zones, poison, sanity checks.",
        "The boot parameter slab_debug switches them on, for all caches or some; they make objects larger and slower.",
        "/sys/kernel/slab/*/red_zone, poison, sanity_checks, store_user, trace",
        ("debugging", "red zones", "red zone", "poison", "sanity checks", "tracking of users", "trace", "tracing"),
    ),
    Entry(
        "relations",
        "The page that draws how the objects of a socket point at each other, with the member of each pointer.",
        "Where BTF is readable, each member has its offset in bytes on this kernel, which follows a plus sign.",
        "include/linux/{fs,dcache,net}.h and include/net/{sock,inet_hashtables}.h",
        ("links", "list head", "head of the list", "entry"),
    ),
    Entry(
        "descriptor table",
        "The array of a process with a pointer to an open file for each descriptor.",
        "It grows by powers of two. dup(2), fork(2) and SCM_RIGHTS put one file into further entries.",
        "include/linux/fdtable.h, struct files_struct and fdtable",
        ("fdtable", "fdt", "fd", "sk"),
    ),
    Entry(
        "dentry",
        "The name of a file in memory. It has a parent, the dentry of its directory, and a list of children.",
        "A socket's dentry has no directory, no parent but itself and no children, and no path leads to it.",
        "include/linux/dcache.h, struct dentry",
        ("parent", "children", "directory", "names of a file"),
    ),
    Entry(
        "hard link",
        "A further name of one file on disk: several dentries lead to one inode, which counts its names.",
        "A socket has one name, and none on a disk.",
        "fs/namei.c, vfs_link(); struct inode, i_nlink",
        ("hard", "hard links", "alias list"),
    ),
    Entry(
        "ehash",
        "The hash table of all connected socks, and of the mini-sockets in TIME_WAIT, by addresses and ports.",
        "Each bucket is a chain, in which an arriving segment finds its sock. Its size is set at boot.",
        "include/net/inet_hashtables.h, struct inet_hashinfo",
        ("chain", "hash table", "bhash"),
    ),
    Entry(
        "deathrow",
        "The list of the mini-sockets of a bind2 bucket, in Linux 6.1 to 6.7.",
        "Since 6.8 they are among its owners.",
        "include/net/inet_hashtables.h, struct inet_bind2_bucket",
        ("owners",),
    ),
    Entry(
        "constructor",
        "A function that prepares the objects of a new slab once, and not at each allocation.",
        "A freed object keeps what it prepared, so the free pointer lies behind the object.",
        "/sys/kernel/slab/*/ctor",
    ),
    Entry(
        "free pointer",
        "The address of the next free object, which SLUB writes into each free object.",
        "Where the object's own bytes must stay untouched after it is freed, the pointer takes 8 bytes behind them.",
        "mm/slub.c, set_freepointer()",
    ),
    Entry(
        "hole",
        "Unused bytes between two members of a struct, since the next member needs its alignment.",
        "Another order of the members may save them.",
        "/sys/kernel/btf/vmlinux",
        ("unused", "unused bytes"),
    ),
    Entry(
        "padding",
        "Bytes that hold nothing: at the end of a struct, behind an object, or behind the last object of a slab.",
        "At the end of a struct they make its size a multiple of its alignment; behind an object, the spacing. `with"
        " slab padding` in a report is an object with its share of all three; `without slab padding`: less the last.",
        "/sys/kernel/btf/vmlinux",
        ("tail padding",),
    ),
    Entry(
        "largest members",
        "The members of a struct that take the most bytes, each with its size and its offset.",
        "A member that is a struct counts whole.",
        "/sys/kernel/btf/vmlinux",
    ),
    Entry(
        "found by",
        "How tcptop learns whether this kernel has the object: by a file, or by the name of a cache.",
        "An object that no file shows is named as missing, and the figure becomes a lower bound (≥).",
        "tcptop's catalogue of kernel objects",
    ),
    Entry(
        "allocated by",
        "The function of the kernel that makes the object; freed by: the one that gives it back.",
        "Below it stand the functions that lead there from a system call or a packet.",
        "tcptop's catalogue of call paths",
        ("freed by", "system call"),
    ),
    Entry(
        "request sock",
        "What a server keeps of a handshake: about 300 bytes, from the client's SYN until accept(2).",
        "Until the last ACK it stands alone (SYN_RECV); then the kernel makes the sock, and both wait in the accept"
        " queue.",
        "net/ipv4/tcp_input.c, tcp_conn_request(); /proc/slabinfo, request_sock_TCP",
        ("request_sock", "request_sock_TCP", "SYN queue", "active request sock", "active request", "same request sock"),
    ),
    Entry(
        "socket",
        "One end of a connection, as a program sees it: a descriptor on which it sends and receives.",
        "In the kernel it consists of several objects: the sock is TCP's part and by far the largest; socket and inode"
        " (one object), dentry and file make it an open file. An orphan has a sock alone, TIME_WAIT a mini-socket.",
        "include/linux/net.h, struct socket; include/net/sock.h, struct sock",
        ("sock, socket, inode", "sock against socket", "struct socket", "struct sock", "made of", "TCP socket"),
    ),
)
