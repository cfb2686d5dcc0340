"""The sample application. It runs in the lab's pods."""
