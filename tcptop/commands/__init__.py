"""Commands: one module for each way of running tcptop, from its options to its output. Only `cli` imports them."""
