"""The objects of a cluster's API: what of them is exported, in which form, and what becomes of an export."""
