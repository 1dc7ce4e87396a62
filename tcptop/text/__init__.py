"""Plain text: printable names, numbers with units, lines and tables. Reads no file and imports no widget."""
