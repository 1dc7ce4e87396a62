"""Terminal input and output: reads keys, and writes changed cells without knowing what the cells mean."""
