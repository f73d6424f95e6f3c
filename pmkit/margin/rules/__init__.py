"""The rules, one module each; :func:`pmkit.margin.rule` finds them by name."""
