"""Renders the README's screenshot: `python docs/picture.py TREE KEYS…` writes docs/screen.svg, 120×40 cells."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tcptop.hosts.folder import FolderHost
from tcptop.screen.app import TcptopApp
from tcptop.screen.saved_feed import SavedFeed


async def render_svg(tree: str, keys: list[str]) -> str:
    """The screen of a saved tree after the keys, as SVG."""
    app = TcptopApp(SavedFeed(FolderHost(tree)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        return app.export_screenshot(title="tcptop")


if __name__ == "__main__":
    (Path(__file__).parent / "screen.svg").write_text(asyncio.run(render_svg(sys.argv[1], sys.argv[2:])))
