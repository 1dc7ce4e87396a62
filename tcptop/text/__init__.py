"""Plain text: printable names, numbers with units, lines, tables. The package reads no file and imports no widget."""
