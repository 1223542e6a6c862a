"""Serves the MCP server of a recipe on loopback, until standard input ends.

In: a line of JSON, {recipe, issuer, resource, scope, port}.
"""

import json
import os
import sys
import threading


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_input, daemon=True).start()
    names: dict = {"__name__": "recipe"}
    exec(compile(asked["recipe"], "recipe", "exec"), names)
    server = names["make_server"](asked["issuer"], asked["resource"], asked["scope"])
    server.run(transport="streamable-http", host="127.0.0.1", port=asked["port"])


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


main()
