"""publish.py PREFIX COUNT: puts that many operations into the broker of this machine, each confirmed by it."""

import sys

import pika

prefix, count = sys.argv[1], int(sys.argv[2])
broker = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1"))
channel = broker.channel()
channel.queue_declare("operations", durable=True)
channel.confirm_delivery()
for number in range(count):
    channel.basic_publish("", "operations", f"{prefix}-{number}".encode(), pika.BasicProperties(delivery_mode=2))
broker.close()
