"""Mails jobs one by one; each waits in a second list until it is mailed."""

import json
import os
import signal
import urllib.request

import redis

MAILS, QUEUE = f"{os.environ['MAIL_URL']}/mails", os.environ["QUEUE"]
TAKEN = f"{QUEUE}/taken"
told = []


def mail(job):
    body = json.dumps({"job": job}, ensure_ascii=False).encode()
    request = urllib.request.Request(MAILS, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        reply.read()


def main():
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    for job in client.lrange(TAKEN, 0, -1):
        mail(job)
        client.lrem(TAKEN, 1, job)
    while not told:
        job = client.blmove(QUEUE, TAKEN, 0.5, "RIGHT", "LEFT")
        if job is not None:
            mail(job)
            client.lrem(TAKEN, 1, job)
    return 0
