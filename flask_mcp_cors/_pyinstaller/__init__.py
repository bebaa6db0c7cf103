"""What PyInstaller needs to know to freeze a program that uses this package.

PyInstaller finds it through the entry point ``pyinstaller40``:
https://pyinstaller.org/en/stable/hooks.html#providing-pyinstaller-hooks-with-your-package
"""

from __future__ import annotations


def get_hook_dirs() -> list[str]:
    """The folder that holds the hooks."""
    return [*__path__]
