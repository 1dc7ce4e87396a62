"""All parts of Textual on which tcptop relies although Textual's documentation does not promise them.

`USED` is the whole list: a use that is not in it fails, and so does an entry that nothing uses. Each entry is checked
in the installed Textual: the part must exist, and its code must be unchanged since the use was last reviewed. After a
new version of Textual is installed, each failure names the part, the module of tcptop that uses the part, and the
needed behaviour.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import pinned_version

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("screen", "terminal", "widgets")
READ_WITH = "8.2.8"
"""The version of Textual in which the uses were last reviewed."""


class Part(NamedTuple):
    """A part of Textual."""

    owner: str
    """The module of the part; if the part belongs to a class, a colon and the class follow."""
    digest: str
    """Digest of the part's code; see `digest`."""
    name: str
    user: str
    """The module below tcptop/ that uses it."""
    need: str
    """The behaviour of the part that the module needs."""


def parts(table: str) -> list[Part]:
    """The parts of a table: a line for an owner, then a line with digest, name, user and need for each of its parts."""
    found, owner = [], ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            owner = line
            continue
        found.append(Part(owner, *line.split(maxsplit=3)))
    return found


USED = parts("""
textual._ansi_sequences
  93908a89 SYNC_START               terminal/driver.py     begins a frame; written alone
  0bff2675 SYNC_END                 terminal/driver.py     ends a frame; written alone
textual._xterm_parser
  89c2534a XTermParser              terminal/input.py      takes a character at a time; fails at a bad number
textual.keys
  c2ec2a1d _character_to_key        widgets/key_line.py    the name of the key that types a character
textual.drivers.linux_driver
  134c2278 LinuxDriver              terminal/driver.py     what touches the terminal is overridden or calls write()
textual.drivers.linux_driver:LinuxDriver
  29990314 _file                    terminal/driver.py     the stream of the terminal, with its encoding and descriptor
  57610152 fileno                   terminal/driver.py     the descriptor of the input
  6537afca _get_terminal_size       terminal/driver.py     columns and rows; overridden to bound both
  585098f9 _in_band_window_resize   terminal/driver.py     true once the terminal itself tells its size
  f04a2b75 _mouse_pixels            terminal/driver.py     true once mode 1016 is set; never switched off
  b2af0637 _must_signal_resume      terminal/driver.py     makes start_application_mode() signal a resume
  30cf1b3c _sigcont_application     terminal/driver.py     the handler of SIGCONT; overridden
  d8b571c8 _sigtstp_application     terminal/driver.py     the handler of SIGTSTP; overridden
  3ff506f0 _writer_thread           terminal/driver.py     None if start_application_mode() failed; we stop it
  0858ba88 close                    terminal/driver.py     overridden whole: it only stops the writer thread
  2046267a disable_input            terminal/driver.py     flushes the input, and waits for run_input_thread() to end
  2026794a process_message          terminal/driver.py     gives a message of the terminal to the app
  42d792c3 run_input_thread         terminal/driver.py     overridden to do nothing: it only reads keys
  f5a29c09 start_application_mode   terminal/driver.py     sets up by write() and tcsetattr(), and three signal handlers
  ae117ddc stop_application_mode    terminal/driver.py     restores by write() and tcsetattr() alone
  384e061f write                    terminal/driver.py     overridden whole: all output goes through it
textual.driver:Driver
  a41e8c42 _app                     terminal/driver.py     the app
  96a38ca6 _auto_restart            terminal/driver.py     false while another program has the terminal
  90e46a65 _loop                    terminal/driver.py     the event loop
  8b21e312 _size                    terminal/driver.py     the size at the start; None would be that of rich's console
  e94df987 flush                    terminal/driver.py     called after each frame; overridden to send the changed cells
  5ca54617 resume_application_mode  terminal/driver.py     calls start_application_mode()
  3e994764 send_message             terminal/driver.py     posts a message to the app from any thread
  45a80443 suspend_application_mode terminal/driver.py     calls stop_application_mode() and close()
textual.app:App
  bd88351e _driver                  screen/app.py          the driver; None before the app runs
  bd88351e _driver                  screen/hosts_app.py    the driver; None before the app runs
  522dfb6c _fatal_error             screen/app.py          called while an exception is handled; overridden
  522dfb6c _fatal_error             screen/hosts_app.py    called while an exception is handled; overridden
  284779c7 _exit_renderables        screen/crash.py        the first one is printed after the screen is closed
  5389992d _exit                    screen/key_queue.py    true once exit() was called
  43664fdb action_focus_next        screen/app.py          called by the keys Tab; overridden
  908abd12 action_focus_previous    screen/app.py          called by the keys Shift-Tab; overridden
  5389992d _exit                    terminal/driver.py     true once exit() was called
  cc6381ea _notifications           screen/app.py          the messages on the screen, each with .message
  cc6381ea _notifications           screen/hosts_app.py    the messages on the screen; empty if there is none
  cc6381ea _notifications           screen/messages.py     the messages on the screen, each with .severity; del
  8fba4f16 _suspend_signal          screen/app.py          tells the app that it will be suspended
  72cd130d _background_screens      screen/screen_copy.py  the screens that show through, for render_update()
  15ef4f62 action_command_palette   screen/app.py          the action of Textual's palette; overridden
  5d85c755 action_suspend_process   screen/app.py          overridden to stop the whole process group
  3df5283a on_event                 screen/app.py          gets each key first; overridden to queue keys
  3df5283a on_event                 screen/hosts_app.py    gets each key first; overridden to queue keys
  233cfd9e pop_screen               screen/app.py          overridden; dismiss() calls it too
  233cfd9e pop_screen               screen/hosts_app.py    overridden; dismiss() calls it too
textual.screen:Screen
  ccec9a6b AUTO_FOCUS               screen/main_screen.py  "" leaves the focus alone
  bcd24b89 _compositor              screen/screen_copy.py  render_update() draws as for export_screenshot()
textual.message_pump:MessagePump
  ddd1d529 _is_mounted              screen/key_queue.py    true once a screen handles keys
  5075d30e _close_messages_no_wait  screen/crash.py        ends the app
textual.widget:Widget
  593225b0 _border_title            widgets/pane.py        Content; the setter would draw the whole pane
  56c5e695 _border_subtitle         widgets/pane.py        the same, for the lower edge
  7cc4118c _styles_cache            widgets/pane.py        set_dirty() makes render_lines() draw these lines anew
  43f193f7 watch_has_focus          widgets/pane.py        called when the focus comes or goes; overridden
""")

BEHIND = parts("""
textual.app:App
  b027a76f _begin_update            terminal/driver.py     writes SYNC_START alone
  7e9fba2e _end_update              terminal/driver.py     writes SYNC_END alone
  e2c60537 _display                 terminal/driver.py     writes a frame in one call of write(), then calls flush()
textual._compositor:LayoutUpdate
  05b5ab7d render_segments          terminal/cell_screen.pycursor moves, pens, text and line feeds only
textual._compositor:ChopsUpdate
  23bbd5f7 render_segments          terminal/cell_screen.pycursor moves, pens and text only
textual._compositor:Compositor
  c33b548e render_update            screen/screen_copy.py  draws what the screens below show through
textual._parser:Parser
  39519ff9 feed                     terminal/input.py      an error ends the parser for good
  cafac9ca tick                     terminal/input.py      gives ESC as a key once ESCAPE_DELAY has passed
textual._styles_cache:StylesCache
  3b142fa8 set_dirty                widgets/pane.py        takes regions in the coordinates of the widget's box
textual.message_pump:MessagePump
  c709c58c call_later               screen/key_queue.py    in the order of the queue; false if it is closed
""")
"""Parts that no module names, but on whose behaviour the modules rely."""

DOCUMENTED_HOOKS = {
    *("ALLOW_SELECT", "BINDINGS", "COMPONENT_CLASSES", "CSS", "DEFAULT_CSS", "ENABLE_COMMAND_PALETTE", "TITLE"),
    *("action_quit", "arrange", "can_focus", "can_replace", "compose", "get_default_screen"),
    *("name", "notify", "notify_style_update", "render_line"),
}
"""Names that Textual's documentation tells an app, a screen, a widget or a message to override."""
NOT_TEXTUALS = {"_asdict", "_fields", "_make", "_replace"}
"""Of named tuples."""


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (PROJECT / "tcptop" / package).glob("*.py"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def names_of(body: ast.ClassDef) -> set[str]:
    """The methods and the class variables of a class."""
    names = {each.name for each in body.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for each in body.body:
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def attributes_of(body: ast.AST, *contexts: type[ast.expr_context]) -> set[str]:
    """The attributes of `self` and of `super()` that the code of a class sets, or reads, or both."""
    attributes = (each for each in ast.walk(body) if isinstance(each, ast.Attribute) and is_self(each.value))
    return {each.attr for each in attributes if isinstance(each.ctx, contexts)}


@cache
def source_of(part: Any) -> str:  # noqa: ANN401 (as inspect)
    return inspect.getsource(part)


@cache
def names_of_base(base: type) -> frozenset[str]:
    """The names that a class of Textual defines or sets on itself."""
    [body] = ast.parse(textwrap.dedent(source_of(base))).body
    return frozenset(attributes_of(body, ast.Store) | set(vars(base)))


def is_self(node: ast.expr) -> bool:
    return ast.unparse(node) in ("self", "super()")


def textual_bases(each: type) -> list[type]:
    return [base for base in each.__mro__ if base.__module__.startswith("textual")]


def uses_of_a_class(body: ast.ClassDef, bases: Sequence[type]) -> Iterator[str]:
    """Names of Textual's classes that a class of tcptop uses on itself: private names, all names of a driver, and
    overrides.
    """
    overrides = names_of(body) - DOCUMENTED_HOOKS
    used = attributes_of(body, ast.Load, ast.Store)
    for base in bases:
        for name in (overrides | used) & names_of_base(base):
            is_hidden = is_private(name) or "driver" in base.__module__ or name in overrides
            if is_hidden and not name.startswith("__"):
                yield name


def classes(tree: ast.Module, module: object) -> Iterator[tuple[ast.ClassDef, type]]:
    """The classes of a module, nested classes included."""
    waiting: list[tuple[ast.AST, object]] = [(tree, module)]
    while waiting:
        body, place = waiting.pop()
        for each in body.body:  # type: ignore[attr-defined]
            if isinstance(each, ast.ClassDef):
                yield each, getattr(place, each.name)
                waiting.append((each, getattr(place, each.name)))


def uses_of_a_module(path: Path) -> set[str]:
    """The names of Textual's hidden parts that a module uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))
    found: set[str] = set()
    own = set(NOT_TEXTUALS)
    for body, each in classes(tree, module):
        found |= set(uses_of_a_class(body, textual_bases(each)))
        own |= names_of(body) | attributes_of(body, ast.Store)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual"):
            is_hidden = any(map(is_private, (node.module or "").split("."))) or "driver" in (node.module or "")
            found |= {each.name for each in node.names if is_hidden or is_private(each.name)}
        elif isinstance(node, ast.Import):
            assert not any(each.name.startswith("textual") for each in node.names), f"{path.name}: import names from it"
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and not is_self(node.value):
            found |= {node.attr} - own if ast.unparse(node.value) != "os" else set()
    return found


def code_of(part: Part) -> str:
    """The code of a part without blanks: the whole function or class, or the lines that name any other part.

    Raises AttributeError if there is no such part.
    """
    module, _, name = part.owner.partition(":")
    owner = getattr(importlib.import_module(module), name) if name else importlib.import_module(module)
    value: Any = inspect.getattr_static(owner, part.name, None)
    value = getattr(value, "fget", getattr(value, "__func__", value))
    is_whole: bool = inspect.isclass(value) or inspect.isfunction(value)
    if is_whole:
        lines = source_of(value).splitlines()
    else:
        lines = re.findall(rf"^.*\b{re.escape(part.name)}\b.*$", source_of(owner), re.MULTILINE)
    if not lines:
        raise AttributeError(part.name)
    return "\n".join(line.strip() for line in lines if line.strip())


def digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:8]


@pytest.mark.slow
def test_the_table_has_every_use() -> None:
    used = {
        (path.relative_to(PROJECT / "tcptop").as_posix(), name) for path in modules() for name in uses_of_a_module(path)
    }
    listed = {(part.user, part.name) for part in USED}
    assert sorted(used - listed) == [], "uses that are not in USED: say there what they need, or do without"
    assert sorted(listed - used) == [], "entries of USED that nothing uses any more"


def test_only_these_packages_use_textual() -> None:
    importing = {
        path.relative_to(PROJECT / "tcptop").parts[0]
        for path in (PROJECT / "tcptop").rglob("*.py")
        if re.search(r"^\s*(from|import) textual\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert importing == set(PACKAGES)


def test_each_part_is_what_it_was_when_its_use_was_last_read() -> None:
    changed = []
    for part in (*USED, *BEHIND):
        try:
            found = digest(code_of(part))
        except (AttributeError, ImportError):
            found = "missing"
        if found != part.digest:
            changed.append(f"{part.owner} {part.name} is {found}: tcptop/{part.user} needs: {part.need}")
    assert changed == [], "\n".join([f"Textual {version('textual')} differs from {READ_WITH}:", *changed])


def test_the_parts_were_read_in_the_version_that_is_pinned_and_installed() -> None:
    assert pinned_version("textual") == version("textual") == READ_WITH


def test_another_version_is_told_by_the_part_that_it_changes() -> None:
    """The parts are a method, a property, an attribute, a function, a constant, a class, and a part that no longer
    exists.
    """
    for name in ("write", "_writer_thread", "LinuxDriver", "_background_screens", "SYNC_END", "_character_to_key"):
        [part] = (part for part in USED if part.name == name)
        assert name in code_of(part)
    with pytest.raises(AttributeError):
        code_of(USED[0]._replace(owner="textual.app:App", name="_no_such_part"))
