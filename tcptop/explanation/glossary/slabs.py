"""Words of slab caches: slab, object, order, merged."""

from tcptop.explanation.glossary.entry import Entry

SLAB_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "slab",
        "A block of pages that the kernel cuts into objects of one size.",
        "A slab of 32 KiB holds 13 of the larger socks, for example. A slab with no object in use may be given back.",
        "mm/slub.c; /proc/slabinfo, num_slabs",
        ("slab memory",),
    ),
    Entry(
        "object",
        "A piece of a slab: one struct of the kernel, such as a sock, an inode or a dentry.",
        "OBJS counts them used or not; ACTIVE counts those in use. On the page of a cache, `there is` says how many one"
        " socket has.",
        "/proc/slabinfo, active_objs and num_objs",
        ("obj", "there is"),
    ),
    Entry(
        "cache",
        "A slab cache: all slabs that hold objects of one kind and size.",
        "TCP is the cache of IPv4 socks, sock_inode_cache that of socket inodes.",
        "/proc/slabinfo; mm/slab_common.c, kmem_cache_create()",
        ("slab cache", "TCP cache", "all caches"),
    ),
    Entry(
        "struct",
        "The C structure that an object holds, such as struct tcp_sock.",
        "Its size and members come from the kernel's own type information, where that is readable.",
        "/sys/kernel/btf/vmlinux",
        ("member",),
    ),
    Entry(
        "merged",
        "Caches of like size that the kernel has put into one: they share slabs and a row, marked with *.",
        "The row has the name of the cache made first: `pid*` may have TCP's bind buckets and epoll items beside the"
        " kernel's process numbers. The counts of the row are those of all of them; TCP PART is an estimate of what is"
        " TCP's. ENTER on the row names the caches.",
        "links in /sys/kernel/slab; mm/slab_common.c, find_mergeable()",
        ("*", "alias", "shares a row", "TCP's", "not TCP's", "counted in"),
    ),
    Entry(
        "shared cache",
        "A cache that others use besides TCP, such as dentry and filp.",
        "Of such a cache, TCP's part is computed from the number of its sockets.",
        "tcptop, from /proc/slabinfo and /proc/net/sockstat",
        ("shared", "everything else"),
    ),
    Entry(
        "sockets since slabinfo",
        "The memory that sockets took or gave back after slabinfo was read, when many were opened or closed since.",
        "It is an estimate: the change in the number of sockets × the bytes of one more socket. The range has what the"
        " present sockets surely hold, and the most that the new ones can take.",
        "/proc/net/sockstat now, and beside the last read of /proc/slabinfo",
    ),
    Entry(
        "unexplained",
        "Slab memory that the machine has and that no row of slabinfo explains.",
        "Large kmalloc blocks and the error of the counters are in it.",
        "/proc/meminfo, Slab, minus the rows of /proc/slabinfo",
    ),
    Entry(
        "kmalloc",
        "The caches of fixed sizes for objects that have no cache of their own: kmalloc-64, kmalloc-192, and so on.",
        "What lies in them cannot be told apart by a counter.",
        "mm/slab_common.c, kmalloc_info",
    ),
    Entry(
        "obj_cgroup vectors",
        "The kernel's notes of who pays: beside each slab of an accounted cache, 8 bytes for each of its objects.",
        "They point at the memory cgroup (a container or a service) to which the object is charged. Accounted is a"
        " cache whose objects are charged to memory cgroups, such as TCP. The bar calls them memcg, for short, or"
        " counts them in `+N more` if they are small. They exist only where memory cgroups are or were in use.",
        "mm/slub.c, alloc_slab_obj_exts(); struct slabobj_ext",
        ("memcg", "vector", "obj_cgroup", "memcg vector", "accounted"),
    ),
    Entry(
        "cgroup",
        "A group of processes with limits of its own, as a container or a service has.",
        "When memory.max is reached, windows of its sockets shrink, it reclaims, then the OOM killer ends a process"
        " in it; a larger memory.max (MemoryMax= of systemd) makes room. Option --cgroup adds it as a further limit,"
        " or that of a cgroup above with less left: what a cgroup is charged counts there, too. Of cgroup v1"
        " memory.kmem.limit_in_bytes (before Linux 5.16) may be nearer: socket() and accept() then fail at once.",
        "/sys/fs/cgroup, memory.max and memory.current; of cgroup v1 memory.limit_in_bytes and memory.usage_in_bytes",
        ("memory cgroup", "memory.max", "max", "cgroup v1", "memory.limit_in_bytes"),
    ),
    Entry(
        "LSM",
        "Linux security modules, such as SELinux and AppArmor: what they hang on a file, an inode or a sock.",
        "Which modules are active decides the size.",
        "/sys/kernel/security/lsm; security/security.c",
        ("blob", "security module", "AppArmor", "SELinux", "Smack"),
    ),
    Entry(
        "sock",
        "The protocol's own state of a socket, struct tcp_sock: sequence numbers, windows, timers, queues.",
        "It is the largest part of a connection, from the cache TCP or TCPv6.",
        "net/core/sock.c, sk_prot_alloc()",
    ),
    Entry(
        "inode",
        "The kernel's record of a file; that of a socket is one object with struct socket, from the cache"
        " sock_inode_cache.",
        "Every socket with a descriptor has one, of whatever protocol.",
        "net/socket.c, sock_alloc_inode()",
        ("socket inode",),
    ),
    Entry(
        "file",
        "The open file that a descriptor points to, from the cache filp.",
        "A descriptor is the number by which a program names the file. A mini-socket, an orphan and a connection in the"
        " accept queue have no file, so file-max does not count them. How many files may be open is limited by"
        " file-max for the machine, and by nofile for a process.",
        "fs/file_table.c, alloc_empty_file()",
        ("filp", "descriptor", "no file", "without a file"),
    ),
    Entry(
        "port",
        "The number that tells the sockets of an address apart; one in use takes a bind bucket, since 6.1 a bind2"
        " bucket, too.",
        "The buckets list the sockets of the port. All sockets of a port share them; a socket of the client side"
        " may have them alone.",
        "net/ipv4/inet_hashtables.c, inet_bind_bucket_create()",
        (
            "local port",
            "bind bucket",
            "bind2 bucket",
            "bucket",
            "bind",
            "clients share",
            "may share",
            "sockets may share one",
        ),
    ),
    Entry(
        "epoll",
        "What watches a socket for a program: an item and a wait queue entry for each epoll set.",
        "A program with epoll has these objects for every socket it waits for.",
        "fs/eventpoll.c, ep_insert(); /proc/slabinfo, eventpoll_epi",
        ("epoll item",),
    ),
    Entry(
        "kernel TLS",
        "Encryption in the kernel, which a program asks for with setsockopt(TCP_ULP).",
        "Each such socket has a context with keys.",
        "/proc/net/tls_stat; net/tls/tls_main.c",
        ("ktls", "TLS", "TX", "RX"),
    ),
    Entry(
        "BTF",
        "The kernel's own description of its structs: sizes, members, offsets.",
        "From it come the sizes of objects without a cache of their own, and the holes of a struct.",
        "/sys/kernel/btf/vmlinux",
    ),
    Entry(
        "sockmap",
        "A map of BPF programs that holds sockets, to send data from one to another inside the kernel; also sockhash.",
        "Each such socket has a struct sk_psock. BPF programs are small programs that run in the kernel.",
        "net/core/skmsg.c; net/core/sock_map.c",
        ("sockhash", "BPF"),
    ),
    Entry(
        "grace period",
        "The wait until no CPU can still see an object, after which the kernel frees it.",
        "This is why counts fall a moment after sockets were closed.",
        "kernel/rcu",
        ("RCU",),
    ),
)
