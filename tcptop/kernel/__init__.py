"""The catalogue: the kernel objects behind a TCP socket, and the calls that allocate and free them, as data."""
