"""Laws of implied vol by which options are marked where no quotes exist: none is the margin model's own."""
