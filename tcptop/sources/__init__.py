"""Sources: one module for each kernel file, with its path, format and pace. They compute no figure."""
