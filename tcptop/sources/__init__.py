"""Sources: one module for each kernel file. A source knows its path, its formats and its pace, and draws nothing."""
