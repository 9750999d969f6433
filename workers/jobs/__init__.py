"""What takes minutes: each job is a process of its own, started and watched by worker-train."""
