"""client.py: runs snippets that the tests send, one JSON document a line, and answers each in the same way.

One process for a whole test file: importing Celery takes longer than most tests. A snippet is the body of a
function; what it returns is the answer. Names it assigns to `keep` stay for the next ones."""

import datetime
import json
import sys
import textwrap
import time
import traceback
import types

import kombu
import redis
from celery import chain, chord, group, signature
from celery.events.state import State
from celery.result import AsyncResult

import tasks
from tasks import app

answers = sys.stdout
sys.stdout = sys.stderr  # what libraries print is no answer
keep = types.SimpleNamespace()


def until(condition, seconds=20):
    """Waits until the condition holds; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.005)


def run(asked):
    scope = dict(globals(), given=asked["given"])
    exec("def snippet():\n" + textwrap.indent(asked["code"], "    "), scope)
    return scope["snippet"]()


for line in sys.stdin:
    try:
        answer = {"value": run(json.loads(line))}
        text = json.dumps(answer)
    except Exception as error:
        text = json.dumps(
            {"error": {"type": type(error).__name__, "text": str(error), "trace": traceback.format_exc()}}
        )
    answers.write(text + "\n")
    answers.flush()
