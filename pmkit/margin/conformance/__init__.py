"""Rules against published cases: case files, feeds, expected and got."""
