"""The decision core: a policy and header values go in, a :class:`Decision` comes out.

Nothing in this folder knows Flask, werkzeug, WSGI or a clock. Every import is relative or from the
standard library; the one exception is the public suffix list, which ``suffixes.py`` alone may load.
A test reads the imports and holds that line.
"""
