"""What one cluster can be asked, and is left as it was found."""
