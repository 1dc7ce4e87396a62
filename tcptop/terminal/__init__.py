"""What the terminal shows, and the least that has to be written to change it."""
