"""From published weights to artifact folders a worker can serve, checked before they are used."""
