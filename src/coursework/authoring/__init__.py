"""What authors use: deriving exercises from their source, beginning a module, proving it."""
