"""Three agents, one task: from a client program over HTTP and a queue to a document service, for two tenants."""
