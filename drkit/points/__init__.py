"""Recovery points: descriptors, signatures, selection, retention, differences."""
