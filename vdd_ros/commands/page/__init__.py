"""Pages in one file: their looks, their words around figures, their charts."""
