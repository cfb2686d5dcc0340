"""A stand-in for Hetzner Cloud's API, to rehearse and to test on: its servers come from a small port (``machines``).

It answers as https://docs.hetzner.cloud/ describes, as far as the provider ``hetzner`` and the library ``hcloud`` need
it. Every answer says that it is a stand-in. Time, limits and trouble are the user's to choose.
"""
