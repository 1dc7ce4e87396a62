"""Words of the machine's memory: node, zone, free_area, migrate type, watermark."""

from tcptop.explanation.glossary.entry import Entry

MEMORY_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "buddy allocator",
        "The part of the kernel that hands out pages, in blocks of 1, 2, 4, 8 … pages.",
        "Two free neighbours (buddies) join to a block of twice the size. Slabs are made of its blocks.",
        "mm/page_alloc.c",
        ("buddy",),
    ),
    Entry(
        "free_area",
        "The lists of free blocks of a zone, one for each order and migrate type.",
        "The pane of free blocks shows their lengths.",
        "/proc/buddyinfo, /proc/pagetypeinfo; include/linux/mmzone.h, struct free_area",
        ("free block", "block", "free blocks", "free"),
    ),
    Entry(
        "order",
        "The size of a block as a power of 2: order 0 is one page, order 3 is eight pages.",
        "With pages of 4 KiB, 32K is order 3, from which SLUB likes to make TCP's slabs.",
        "/proc/buddyinfo; mm/slub.c, calculate_order()",
        (*["4K", "8K", "16K", "32K", "64K", "128K", "256K", "512K", "1M", "2M", "4M"], "page order"),
    ),
    Entry(
        "order fallback",
        "A slab made of a smaller block, because no block of the preferred order was free.",
        "It holds fewer objects for its pages. CACHE SIZE counts such slabs with their real size.",
        "mm/slub.c, allocate_slab()",
        ("fallback",),
    ),
    Entry(
        "migrate type",
        "What a block may be used for: Unmovable, Movable, Reclaimable, HighAtomic, CMA or Isolate.",
        "Blocks of one type are kept together, so that movable pages can be moved away. TCP's slabs are Unmovable,"
        " those of inodes and dentries Reclaimable; types may be taken over when their own lists are empty."
        " `tcptop explain free` says what each type is for.",
        "/proc/pagetypeinfo; include/linux/mmzone.h, enum migratetype",
        ("type", "Unmovable", "Movable", "Reclaimable", "CMA", "none free"),
    ),
    Entry(
        "HighAtomic",
        "A migrate type: blocks kept back for allocations that may not wait and need several pages in one block.",
        "The kernel keeps about 1 % of a zone so, after such an allocation has nearly failed. These blocks count as no"
        " room for slabs.",
        "/proc/pagetypeinfo; mm/page_alloc.c, reserve_highatomic_pageblock()",
    ),
    Entry(
        "Isolate",
        "A migrate type: blocks from which nothing is allocated for now, because their pages are being moved away.",
        "That is done to switch off memory, or to make one large block. Mostly there are none.",
        "/proc/pagetypeinfo; mm/page_isolation.c",
    ),
    Entry(
        "pageblock",
        "A group of pages with one migrate type, usually 2 MiB on x86-64.",
        "The counts say how the zone is divided among the types, free or not.",
        "/proc/pagetypeinfo, Number of blocks type",
        ("pageblocks",),
    ),
    Entry(
        "zone",
        "A range of a node's memory by address: DMA, DMA32, Normal, Movable.",
        "TCP's slabs come from Normal, and from DMA32 or DMA where a node has no Normal or little free in it. Which"
        " addresses a zone has depends on the architecture. Device keeps memory of devices. A number before the name,"
        " as in `0 DMA32`, is the node; a name alone counts this zone of all nodes.",
        "/proc/zoneinfo",
        ("DMA", "DMA32", "Normal", "Device", "HighMem", "0 DMA32", "0 Normal"),
    ),
    Entry(
        "watermark",
        "Three counts of free pages of a zone: min, low and high.",
        "Below low the kernel reclaims in the background until high is reached. Below min a program waits for reclaim.",
        "/proc/zoneinfo, lines min, low and high",
        ("min", "low", "high"),
    ),
    Entry(
        "WATERMARKS m l h",
        "The heading of the bar of a zone's free pages: the bar is as long as twice the watermark high.",
        "A full bar means plenty of free memory. The letters in it stand at the watermarks min, low and high: a bar"
        " that ends left of l means that the kernel reclaims.",
        "/proc/zoneinfo",
        ("MIN LOW HIGH", "WATERMARKS", "m l h", "ml", "lh", "mlh"),
    ),
    Entry(
        "fragmentation",
        "How much of the free memory is in blocks too small for this order: .25 is a quarter, 1.0 all of it.",
        "Computed by the kernel (unusable free index): free pages in smaller blocks ÷ all free pages of the zone."
        " Near 0 is good, and below .01 the place is blank. It says nothing about the amount of free memory.",
        "/sys/kernel/debug/extfrag/unusable_index; mm/vmstat.c, unusable_free_index()",
        ("unusable", "unusable index", ".01"),
    ),
    Entry(
        "node",
        "A NUMA node: CPUs and the memory that is near to them.",
        "An object is made on the node of the CPU that handles it, if memory is free there, and else on another node.",
        "/sys/devices/system/node, /proc/zoneinfo",
        ("NUMA", "all nodes", "the only node", "no node is known"),
    ),
    Entry(
        "distance",
        "How far the memory of a node is from the CPUs of another, as the firmware says: 10 is the node itself.",
        "20 means that an access takes twice as long. The way back may have another distance. CPUs of a full node take"
        " memory of the nearest nodes first.",
        "/sys/devices/system/node/node*/distance; drivers/base/node.c, node_read_distance()",
        ("DISTANCES", "DISTANCE FROM", "far", "twice as far", "nearest nodes", "firmware", "numactl"),
    ),
    Entry(
        "online",
        "A CPU or a node that the kernel uses now.",
        "A CPU that is switched off is in no list and no count. A node may be online without CPUs or without memory.",
        "/sys/devices/system/cpu/online, /sys/devices/system/node/online",
        ("offline", "node online", "nodes online", "CPUs online", "processors"),
    ),
    Entry(
        "SMBIOS",
        "Tables in which the firmware describes the machine: processor sockets, memory slots, board, serial numbers.",
        "dmidecode prints them. The firmware writes them when the machine starts; those of a virtual machine are"
        " its hypervisor's. Only root may read them. tcptop reads types 4, 16 and 17, and never a serial number.",
        "/sys/firmware/dmi/tables; drivers/firmware/dmi_scan.c",
        (
            "DMI",
            "dmidecode",
            "hardware",
            "firmware",
            "firmware's tables",
            "as the firmware says",
        ),
    ),
    Entry(
        "processor socket",
        "A place for a processor on the board; it may be empty.",
        "A processor has one or more cores, and each core one or more threads, which the kernel calls CPUs. `16 of"
        " 32` are switched on by the firmware. MHZ is the speed when the machine started, MAX MHZ the most that the"
        " socket supports.",
        "SMBIOS type 4: /sys/firmware/dmi/tables/DMI",
        (
            "CPU SOCKET",
            "STATUS",
            "PROCESSOR",
            "cores",
            "MHZ",
            "MAX MHZ",
            "populated",
            "disabled by firmware",
        ),
    ),
    Entry(
        "DIMM",
        "A memory module: a board with memory chips, which stands in a memory slot.",
        "A machine whose slots are filled unevenly may run at less than its full memory bandwidth.",
        "SMBIOS type 17: /sys/firmware/dmi/tables/DMI",
        (
            "DIMMs",
            "memory module",
            "memory device",
        ),
    ),
    Entry(
        "memory slot",
        "A place for a memory module on the board, by its locator: the name that is printed beside it.",
        "BANK is the name of the slot's bank, channel or node, as the maker wrote it. NODE is known where the"
        " machine has one node, or where the names have the numbers of nodes whose memory fits. The most memory"
        " that all slots take is that of their arrays (type 16).",
        "SMBIOS types 16 and 17: /sys/firmware/dmi/tables/DMI",
        (
            "SLOT",
            "locator",
            "bank",
            "memory array",
            "filled",
            "slots filled",
            "empty slot",
            "SIZE",
        ),
    ),
    Entry(
        "MT/S",
        "Millions of transfers in a second: the speed at which a memory module runs.",
        "MAX MT/S is the most that it supports; the processor, or other modules of its channel, may hold it below"
        " that.",
        "SMBIOS type 17: /sys/firmware/dmi/tables/DMI",
        (
            "MAX MT/S",
            "MT/s",
            "configured speed",
        ),
    ),
    Entry(
        "rank",
        "A group of chips of a memory module that answer together.",
        "A module has one or more of them; the others can prepare while one transfers.",
        "SMBIOS type 17: /sys/firmware/dmi/tables/DMI",
        ("RANKS",),
    ),
    Entry(
        "protection",
        "Pages of a small zone that stay free for those who can use no other zone.",
        "They are added to the watermarks for everybody else.",
        "/proc/zoneinfo, protection; /proc/sys/vm/lowmem_reserve_ratio",
    ),
    Entry(
        "OOM killer",
        "The kernel ends a process, since no memory is free and nothing can be reclaimed.",
        "A memory cgroup at its limit has the same for its own processes.",
        "mm/oom_kill.c, out_of_memory()",
        ("OOM", "killer"),
    ),
    Entry(
        "atomic allocation",
        "An allocation that may not wait, as for a packet that just arrived: it takes free memory, or fails.",
        "Accepted socks, request socks and mini-sockets are allocated so.",
        "include/linux/gfp_types.h, GFP_ATOMIC",
        ("atomic",),
    ),
    Entry(
        "reclaim",
        "The kernel frees page cache and unused slabs to get free pages.",
        "Sockets that fit in free memory need no reclaim; `no reclaim needed`: all that fit do. The number that fits"
        " with reclaim is the end: with still more, the OOM killer ends a process, or opening a socket fails.",
        "mm/vmscan.c; /proc/meminfo",
        ("before reclaim", "with reclaim", "in free memory", "no reclaim needed", "reclaimed"),
    ),
    Entry(
        "page cache",
        "File contents that the kernel keeps in memory, and gives up when memory is needed.",
        "What can be given up counts as room for more sockets.",
        "/proc/meminfo, Active(file) and Inactive(file)",
    ),
    Entry(
        "RAM available",
        "An estimate of the kernel: memory that programs can take without swapping.",
        "Free pages and reclaimable page cache and slabs are in it. Watermarks and reserves of the zones are taken off,"
        " so it may be less than the free memory.",
        "/proc/meminfo, MemAvailable",
        ("available", "RAM", "after reserves", "reserves"),
    ),
    Entry(
        "machine's CPU",
        "The share of the time in which the machine's CPUs were busy, of all of them together, with every program.",
        "It is no figure of TCP. Idle and I/O wait do not count as busy; it changes once in five seconds.",
        "/proc/stat",
        ("CPU", "CPUs", "all CPUs", "machine's CPUs"),
    ),
    Entry(
        "vm.zone_reclaim_mode",
        "A setting: if not 0, a node reclaims its own page cache before it takes memory of other nodes.",
        "It is 0 on most machines.",
        "/proc/sys/vm/zone_reclaim_mode",
        ("zone_reclaim_mode",),
    ),
    Entry(
        "page",
        "The unit of memory: 4 KiB on x86-64, up to 64 KiB on other machines.",
        "Slabs, blocks and buffers consist of whole pages.",
        "getconf PAGE_SIZE",
    ),
)
