"""Messages on the screen: a new one replaces the one before, so that they never cover a low screen."""

from __future__ import annotations

from textual.app import App
from textual.notifications import Notify


class MessageApp(App[int]):
    """An app that shows one message at a time. Warnings stay for their time, since each tells of another fault."""

    def on_notify(self, event: Notify) -> None:
        """Shows a message in place of the one before, unless the same message is still on the screen.

        A key that the user holds down must not show its message several times.
        """
        if any(each.message == event.notification.message for each in self._notifications):
            event.prevent_default()
            return
        for replaced in [each for each in self._notifications if each.severity == "information"]:
            del self._notifications[replaced]
        for screen in self.screen_stack:
            for holder in screen.query("ToastHolder"):
                if holder.query("Toast.-information"):
                    holder.remove()  # Textual would remove what it holds, but not the holder
