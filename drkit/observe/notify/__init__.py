"""Tells people: on failure, on recovery, and when something did not run; and tells dead man's switches that it did."""
