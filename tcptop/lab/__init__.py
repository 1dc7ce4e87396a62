"""`tcptop lab`: opens real connections over a loopback of its own, and measures what each state of them costs."""
