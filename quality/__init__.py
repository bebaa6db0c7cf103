"""Tools that try to break the package: fuzzing, mutation testing, a soak, scanners. See README.md here."""
