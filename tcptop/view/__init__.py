"""View state: user choices, player position and graph data, as frozen values. Pure; knows no widget, file or clock."""
