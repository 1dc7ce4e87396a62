"""Plain text: safe characters, numbers with units, lines, tables. It reads no file and knows no widget."""
