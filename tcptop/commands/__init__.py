"""Commands: one module for the screen, one module for reports, and one module for each subcommand.

Only `cli` imports the modules of commands.
"""
