"""The user's settings: the path and the content of the settings file. Screen, reports and checks use the settings."""
