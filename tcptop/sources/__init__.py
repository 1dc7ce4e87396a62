"""Sources: one module a kernel file, with its path, formats and pace. They compute no figure and draw nothing."""
