"""tasks.py: the Celery app of the tests: what a Python worker runs, and the client of ours.

Nothing but JSON; the queue is named on the command line or by whoever sends."""

import os

from celery import Celery

app = Celery("tests", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=3600,
    result_extended=False,
    broker_transport_options={"visibility_timeout": 3600, "socket_timeout": 20},
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=True,
    task_acks_late=True,
    timezone="UTC",
    enable_utc=True,
)


@app.task(name="remote_add")
def remote_add(number=0, label=""):
    return {"sum": number + 1, "label": label}


@app.task(name="remote_double")
def remote_double(number):
    return 2 * number


@app.task(name="remote_list")
def remote_list(numbers):
    return list(numbers)


@app.task(name="remote_fail")
def remote_fail(number=0, label=""):
    raise ValueError(f"told to fail: {label}")


# number: the attempt with which it succeeds
@app.task(name="remote_patient", bind=True, max_retries=5)
def remote_patient(self, number=0, label=""):
    if self.request.retries + 1 < number:
        raise self.retry(countdown=0.05)
    return self.request.retries + 1


# Tells when and in which order it ran: a list on Redis.
@app.task(name="remote_note", bind=True)
def remote_note(self, number=0, label=""):
    app.backend.client.rpush(f"noted:{label}", number)
    return number
