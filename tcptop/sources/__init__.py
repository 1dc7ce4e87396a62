"""Sources: modules that read and parse one kernel file, or a few, and set its pace. Sources compute no figures."""
