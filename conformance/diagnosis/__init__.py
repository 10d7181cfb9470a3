"""Names the fault of a failing implementation, or says where it is."""
