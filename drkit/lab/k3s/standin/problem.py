"""What stops k3s: said in its log's form, and as its last words."""

from __future__ import annotations


class Fatal(Exception):
    """k3s cannot go on; the message names the cause in k3s's own words where it has them."""
