"""The lab: opens real connections on its own loopback and measures the cost of each TCP state. It needs no screen."""
