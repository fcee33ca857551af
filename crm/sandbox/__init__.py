"""The outside world in small: carriers with delivery reports, handsets to read on, and faults to dial in.

A process of its own that shares no code and no database with the product, which reaches it by real HTTP and cannot
tell it from the real thing. Run it by `python -m crm.sandbox --port 8001 --data var/sandbox.sqlite3`.
"""
