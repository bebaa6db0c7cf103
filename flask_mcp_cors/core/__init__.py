"""The decision core: a policy and header values go in, a :class:`Decision` comes out.

No module here uses Flask, Werkzeug, WSGI or a clock. Every import is relative or from the standard library.
The one exception is the public suffix list, which only ``suffixes.py`` may load. A test checks the imports.
"""
