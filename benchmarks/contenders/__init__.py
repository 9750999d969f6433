"""One process per contender: reads rounds as JSON lines, answers each with a line of figures."""
