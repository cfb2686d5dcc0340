"""The command line: one command a file, each thin. Heavy imports stand inside the commands, so that help is quick."""
