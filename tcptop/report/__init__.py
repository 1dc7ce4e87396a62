"""The answer without a screen: as text for people, as JSON for programs."""
