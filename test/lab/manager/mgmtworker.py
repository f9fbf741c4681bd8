"""The lab's management worker: takes operations from the manager's broker and writes each as a row of its database.

An operation is acknowledged to the broker only after its row is committed, so that none is lost when the manager moves.
"""

import os
import socket
import sys

import pika
import psycopg2

QUEUE = "operations"


def notify(text):
    """Tells systemd (Type=notify)."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(text.encode(), path.replace("@", "\0", 1) if path.startswith("@") else path)


def main():
    database = psycopg2.connect(
        host="127.0.0.1", port=5432, dbname="manager", user="manager", connect_timeout=5, application_name="mgmtworker"
    )
    broker = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", heartbeat=30))
    channel = broker.channel()
    channel.queue_declare(QUEUE, durable=True)
    channel.basic_qos(prefetch_count=1)

    def work(_, method, __, body):
        with database, database.cursor() as cursor:
            cursor.execute(
                "INSERT INTO operations (id, node) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (body.decode(), socket.gethostname()),
            )
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(QUEUE, work)
    notify("READY=1")
    channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except (pika.exceptions.AMQPError, psycopg2.Error) as error:
        sys.exit(f"{type(error).__name__}: {error}")
