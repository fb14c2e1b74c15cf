"""luqum's parser of Lucene's syntax, loaded without output and without files.

The package brings the parser's tables, with a checksum over docstrings. Python 3.13
removes the indentation of docstrings, so the checksum differs: luqum would make the
tables again, print the conflicts of its grammar, and write two files beside its code,
where an installation may be read-only. luqum's version is pinned, so the tables fit.
"""

from __future__ import annotations

from functools import partial

from ply import yacc

_loud = yacc.yacc
yacc.yacc = partial(
    _loud,
    optimize=True,  # trust the tables that came with the package
    debug=False,
    write_tables=False,
    errorlog=yacc.NullLogger(),
)
try:
    from luqum.thread import parse
finally:
    yacc.yacc = _loud

__all__ = ["parse"]
