"""A real Kafka broker on loopback (KRaft, one node), and what a producer or an administrator does to it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.e2e.processes import Child, free_port, spawn
from tests.e2e.waiting import eventually

JARS = Path(__file__).parents[2] / ".tools" / "kafka"
SECONDS = 20

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
"""


@dataclass(frozen=True)
class Broker:
    child: Child
    address: str
    # Kept: what it promised is void once it is garbage.
    admin: AdminClient

    def create(self, topic: str, partitions: int) -> None:
        created = self.admin.create_topics([NewTopic(topic, partitions, 1)])
        created[topic].result(SECONDS)

    def delete(self, topic: str) -> None:
        self.admin.delete_topics([topic])[topic].result(SECONDS)

    def produce(self, topic: str, rows: Mapping[int, int]) -> None:
        """So many rows into each partition, all of them acknowledged."""
        producer = Producer({"bootstrap.servers": self.address})
        for partition, count in rows.items():
            for number in range(count):
                producer.produce(topic, value=f"{partition}/{number}", partition=partition)
        assert producer.flush(SECONDS) == 0

    def age_out(self, topic: str, before: Mapping[int, int]) -> None:
        """Deletes the records before an offset of each partition, as a retention that is too short does."""
        offsets = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
        for deleted in self.admin.delete_records(offsets).values():
            deleted.result(SECONDS)

    def end_offsets(self, topic: str, partitions: int) -> dict[int, int]:
        """The offset after the last record of each partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "the-tests-own-count"})
        try:
            return {
                partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=SECONDS)[1]
                for partition in range(partitions)
            }
        finally:
            consumer.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def started(folder: Path, log: Path) -> Broker:
    """A broker with its data in `folder`, listening."""
    port = free_port()
    properties = folder / "server.properties"
    properties.write_text(PROPERTIES.format(broker=port, controller=free_port(), folder=folder))
    java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    classes = ["-cp", f"{JARS}/*"]
    cluster = uuid.uuid4().hex[:22]
    formatting = [*java, "-Xmx64m", *classes, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties]
    assert spawn(formatting, log).exit_code(within=60) == 0
    child = spawn([*java, "-Xmx256m", *classes, "kafka.Kafka", properties], log)
    eventually(lambda: _listens(port), f"the broker listens, see {log}", within=60)
    address = f"127.0.0.1:{port}"
    return Broker(child, address, AdminClient({"bootstrap.servers": address}))
