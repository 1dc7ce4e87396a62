"""What changed between two looks at kernels: two ledgers in, a frozen Difference out."""
