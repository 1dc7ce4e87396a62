"""The lab opens real connections over a loopback of its own and measures the slab memory of each TCP state."""
