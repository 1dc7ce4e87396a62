"""Commands: a module for the screen, one for reports, and one for each subcommand. Imported by `cli` only."""
