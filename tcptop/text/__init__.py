"""Plain text: printable names, numbers with units, lines, tables. These modules read no file and import no widget."""
