"""How a requirement is computed: the shapes of rule that the venues' rules are built on."""
