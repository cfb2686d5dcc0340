"""``python -m drkit``, for those who start drkit by the interpreter that they run in."""

from drkit.cli.main import main

main()
