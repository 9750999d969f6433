"""`make run`, `make stop` and the servers of `make test`: starts what the application consists of.

Nothing here imports Django, so that a start does not wait for it; `prepare.py`, which runs in a
process of its own, is the exception. `venv.py` and `lock.py` run before anything is installed and
import the standard library only.
"""
