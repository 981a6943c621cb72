"""Who calls the kernel: `embedded` with threads on one machine; a distributed engine calls the same kernel."""
