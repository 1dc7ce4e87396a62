"""Terminal input and output: reads keys, and writes changed cells without knowledge of their meaning."""
