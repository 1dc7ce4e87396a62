"""Explanation pages, texts of limits, and tables of who holds sockets: styled lines for a given width.

The screen and the reports show the same lines. `pages` lists all pages and finds them by name.
"""
