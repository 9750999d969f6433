"""Pages of people, teams and the organisation."""
