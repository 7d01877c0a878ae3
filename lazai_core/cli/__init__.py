"""The command line. Nothing here is imported before it is needed: `lazai --help` starts in a blink."""
