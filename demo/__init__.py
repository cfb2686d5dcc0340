"""The demonstration that ``make demo`` runs: a shop's database is backed up, lost, restored and compared."""
