"""The cluster's datastore: finding out which kind it is, and what proves that a copy of it is whole."""
