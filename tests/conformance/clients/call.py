"""Calls one function of a recipe, in the environment of its library: JSON on standard input, JSON as the last line out.

In: {recipe, call, given, named}. Out: {answer}, or {error} with all that was raised.
"""

import asyncio
import inspect
import json
import sys
import traceback


def main() -> None:
    asked = json.load(sys.stdin)
    names: dict = {"__name__": "recipe"}
    exec(compile(asked["recipe"], "recipe", "exec"), names)
    try:
        answer = names[asked["call"]](*asked["given"], **asked["named"])
        print(json.dumps({"answer": asyncio.run(answer) if inspect.isawaitable(answer) else answer}))
    except Exception as error:  # whatever a library raises is what the test asks about
        print(json.dumps({"error": "".join(traceback.format_exception(error))}))


main()
