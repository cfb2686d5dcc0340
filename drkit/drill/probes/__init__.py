"""What users would notice: a process of its own asks every target at fixed times, and writes down what became of it.

``prober`` starts it and is all that a drill needs, with ``wanted`` (what is asked, and how), ``ways`` (to what only the
nodes reach) and ``ledger`` (which rows every instance has in the end). ``__main__`` is the process itself: ``schedule``
asks, by the kinds of ``port``, one a file, and ``writer`` writes.
"""
