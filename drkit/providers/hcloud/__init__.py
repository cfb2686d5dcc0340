"""How the provider ``hetzner`` speaks with Hetzner Cloud's API, one file for each thing that it makes."""
