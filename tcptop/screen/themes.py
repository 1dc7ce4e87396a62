"""The colours of the screen, for dark and for light terminals."""

from __future__ import annotations

from textual.theme import Theme

THEME = Theme(
    name="tcptop",
    primary="#ffaf5f",
    secondary="#5fafff",
    accent="#d7d787",
    success="#87afd7",
    warning="#ff8700",
    error="#ff5f5f",
    foreground="#d0d0d0",
    background="#121418",
    surface="#181b20",
    panel="#262a31",
    boost="#303640",
    dark=True,
    variables={"text-muted": "#8a8f98", "border-blurred": "#4e5661"},
)
"""Dark theme in orange and blue: people with any kind of colour-vision deficiency can tell these two colours apart."""

LIGHT_THEME = Theme(
    name="tcptop-light",
    primary="#af5f00",
    secondary="#005f9f",
    accent="#6b5900",
    success="#3a6ea5",
    warning="#a84300",
    error="#b00020",
    foreground="#262626",
    background="#fafafa",
    surface="#f0f0f0",
    panel="#e2e4e8",
    dark=False,
    variables={"text-muted": "#6a6f78", "border-blurred": "#a0a6b0"},
)

THEMES = {"dark": THEME, "light": LIGHT_THEME}
