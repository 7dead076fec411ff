"""The notifier: pika in the main thread, ten workers that send mails, and a quorum queue."""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pika

MAIL_URL = os.environ["MAIL_URL"]
MAIL_TIMEOUT_S = int(os.environ.get("MAIL_TIMEOUT_MS", "5000")) / 1000
WORKERS = ThreadPoolExecutor(10)


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


def is_sent(body):
    try:
        notice = json.loads(body)
        mail = json.dumps({"to": notice["user"], "message_id": notice["message_id"]}).encode()
    except (ValueError, KeyError, TypeError):
        return False
    for attempt in range(3):
        time.sleep(0.1 * attempt)
        request = urllib.request.Request(
            f"{MAIL_URL}/mails", mail, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=MAIL_TIMEOUT_S):
                return True
        except OSError as error:
            print(f"mail {notice['message_id']}: {error}")
    return False


def main():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel, parking = connection.channel(), connection.channel()
    parking.confirm_delivery()
    channel.exchange_declare("lantern", "topic", durable=True)
    quorum = {"x-queue-type": "quorum"}
    channel.queue_declare("notices", durable=True, arguments=quorum)
    channel.queue_declare("notices.dead", durable=True, arguments=quorum)
    channel.queue_bind("notices", "lantern", "booking.created")
    channel.basic_qos(prefetch_count=10)

    def finish(tag, body, sent):
        if not sent:
            persistent = pika.BasicProperties(delivery_mode=2)
            parking.basic_publish("", "notices.dead", body, persistent)
        channel.basic_ack(tag)

    def work(tag, body):
        connection.add_callback_threadsafe(partial(finish, tag, body, is_sent(body)))

    channel.basic_consume(
        "notices", lambda _, method, __, body: WORKERS.submit(work, method.delivery_tag, body)
    )
    health = ThreadingHTTPServer(("", int(os.environ.get("PORT", "3000"))), Health)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    channel.start_consuming()


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
main()
