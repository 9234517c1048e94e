"""The workloads: what is run against each system, and which figures are compared."""

from clients import Client, FanIn, TransactionSize
from flink_jobs import Batch, Bids, Read, Write
from visibility import Latency, OpenTransaction

ALL = (Write, Read, Bids, Latency, OpenTransaction, Client, TransactionSize, Batch, FanIn)
WORKLOADS = {workload.name: workload for workload in ALL}
