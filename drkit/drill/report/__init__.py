"""How a drill went, for people and for programs: text, JSON, JUnit XML, one HTML page; and many drills over time."""
