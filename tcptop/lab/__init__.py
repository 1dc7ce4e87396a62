"""The lab opens real connections over its own loopback device and measures the slab memory of each TCP state."""
