"""Celery's side of bench/tasks: the app, and `tasks_celery.py fill N | start N`, which enqueues.

Late acknowledgement and no results, as ours. `noop` and its arguments are those of tests/jobs/app.c."""
import os
import sys
import time

import redis
from celery import Celery

app = Celery("bench", broker=os.environ["BROKER"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue="default",
    broker_connection_retry_on_startup=True,
)
store = redis.Redis.from_url(os.environ["BROKER"])


@app.task(name="noop")
def noop(number, label):
    pass


@app.task(name="timed")
def timed(since):
    store.rpush("latencies", (time.time() - since) * 1000)


def fill(count):
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            noop.apply_async(kwargs={"number": 1, "label": ""}, producer=producer)


def start(count):
    for number in range(1, count + 1):
        timed.delay(time.time())
        while store.llen("latencies") < number:
            time.sleep(0.002)
        time.sleep(0.005)


if __name__ == "__main__":
    {"fill": fill, "start": start}[sys.argv[1]](int(sys.argv[2]))
