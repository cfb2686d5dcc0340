"""An audit shown: as text, SARIF, or one HTML page. Pure."""
