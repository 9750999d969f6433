"""Pages and partials of chat. Each view parses, authorises, calls a service and renders."""
