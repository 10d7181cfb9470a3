"""What is judged and what it claims: formats, declared arithmetic, capabilities, loading."""
