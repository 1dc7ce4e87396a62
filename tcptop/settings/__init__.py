"""The user's settings: where their file is, and what may be in it; read by the screen, by reports and by checks."""
