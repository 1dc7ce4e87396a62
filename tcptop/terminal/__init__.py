"""The terminal: keys in, changed cells out. It does not know what the cells show."""
