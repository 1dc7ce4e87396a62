"""The colours of the screen, for dark and for light terminals.

Most colours are among the 256 colours of xterm, so that a terminal with 256 colours shows them unchanged.
"""

from __future__ import annotations

from textual.theme import Theme

THEME = Theme(
    name="tcptop",
    primary="#5fafff",
    secondary="#87afd7",
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
    variables={
        "text-muted": "#8a8a8a",
        "border-blurred": "#6c6c6c",
        "slice-1": "#5fafff",
        "slice-2": "#0087d7",
        "slice-3": "#005fd7",
        "slice-4": "#87afd7",
        "slice-5": "#5f87af",
        "time-wait": "#ffd75f",
        "time-wait-1": "#ffd75f",
        "time-wait-2": "#d7af00",
        "time-wait-3": "#af8700",
        "time-wait-4": "#d7d7af",
        "time-wait-5": "#afaf87",
    },
)
"""Dark theme: blue for open sockets, yellow for TIME_WAIT.

Blue and yellow can be told apart with any kind of colour-vision deficiency.
"""

LIGHT_THEME = Theme(
    name="tcptop-light",
    primary="#005faf",
    secondary="#005f87",
    accent="#6b5900",
    success="#3a6ea5",
    warning="#af5f00",
    error="#af0000",
    foreground="#262626",
    background="#fafafa",
    surface="#f0f0f0",
    panel="#e2e4e8",
    dark=False,
    variables={
        "text-muted": "#626262",
        "border-blurred": "#878787",
        "slice-1": "#005faf",
        "slice-2": "#0087d7",
        "slice-3": "#00005f",
        "slice-4": "#5f87af",
        "slice-5": "#005f87",
        "time-wait": "#875f00",
        "time-wait-1": "#875f00",
        "time-wait-2": "#af8700",
        "time-wait-3": "#5f5f00",
        "time-wait-4": "#87875f",
        "time-wait-5": "#875f5f",
    },
)

THEMES = {"dark": THEME, "light": LIGHT_THEME}
