"""The demo scenario. Each step sends real HTTP requests to the running product."""
