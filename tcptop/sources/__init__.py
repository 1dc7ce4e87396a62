"""Sources: each module reads and parses one kernel file or a few, and sets their pace. Sources compute no figures."""
