"""Pages for the day when something is lost, with the user's own names in them."""
