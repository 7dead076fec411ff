"""The vocabulary of checks: everything that an author of graders/NN-slug/checks.py may use.

A check is a function `check_<what_must_hold>` with `@points`; its docstring is the learner's title.
It asks for fixtures by name:

- `image`: the submission's `Image`, built once for all checks;
- `server`: a `Server` started from it; define a fixture of this name to give it variables or files;
- `builder`: a `Builder` of further images, with other files, secrets or arguments;
- `postgres`: a `Postgres` server beside the submission, in the background;
- `pgbouncers`: starts a `PgBouncer` with the submission's own pgbouncer.ini before a database;
- `postgres_from`: starts one from an image with tables and rows; `Queries` asks the answer's SQL;
- `store`: a `Store`, a Redis beside the submission, in the background;
- `memcached`: a `Memcached`, and `valkey`: a `Valkey`, with the same words, in the background;
- `monitoring`: starts a `Prometheus` and an `Alertmanager` with the submission's own files;
- `nats`: a `Nats` with JetStream beside the submission, in the background;
- `rabbitmq`: a `RabbitMQ`, with a `Vhost` for each check, in the background;
- `cloud`: a `Cloud`, moto beside the submission, an `Account` for each check, in the background;
- `relays`: opens a `Relay` in front of it, or of any other service: held, refused, cut, counted;
- `stub`: a `Stub`, an upstream beside the submission that answers, holds or fails as told;
- `cluster`: a `Cluster`, a whole Kubernetes with a fresh `Namespace` for whoever asks;
- `sandbox`: a `Sandbox`, an engine of the answer's own, where the catalogue says `sandbox = true`;
- `stack`: a `Stack`, the answer's compose file in that engine;
- `runner`: a `Runner`, the answer's workflows run by act for pushes and pull requests, in it too;
- `terraform`: a `Terraform`, the answer's configuration applied to that engine;
- `meanwhile`: `Meanwhile` starts what takes long beside the other checks;
- `backends`: three `Backend`s behind the answer that name themselves, hang and die as told;
- `submission`: the `Submission`, its files by path;
- `random`: `Random` values, new in each run.

Fixtures of module scope that start containers are started side by side before the first check.
"""

from coursework.checks.backends import Backend, Backends
from coursework.checks.builder import Builder, Lint
from coursework.checks.client import Client
from coursework.checks.cloud import Account, Cloud, CloudStack, Finding, Linting, Refusal
from coursework.checks.cluster import Cluster, ClusterClient, Namespace
from coursework.checks.composed import Composed
from coursework.checks.composed_database import ComposedDatabase
from coursework.checks.deadline import Deadline
from coursework.checks.event_stream import EventStream, ServerEvent
from coursework.checks.failure import CHECK_AGAIN, Failure, StartFailure, advising, fail
from coursework.checks.finished import Finished
from coursework.checks.image import Image
from coursework.checks.in_turn import Start
from coursework.checks.load import Crowd, at_once
from coursework.checks.log import Record
from coursework.checks.meanwhile import Meanwhile, Story
from coursework.checks.memcached import Memcached
from coursework.checks.monitoring import Alertmanager, Monitoring, Prometheus
from coursework.checks.nats import Nats, StoredMessage
from coursework.checks.patience import eventually
from coursework.checks.pgbouncer import PgBouncer, PgBouncers
from coursework.checks.points import points
from coursework.checks.postgres import Database, Postgres
from coursework.checks.program import Program
from coursework.checks.querying import Cost, PlanStep, Queries, Rows, Script
from coursework.checks.rabbitmq import Message, Queue, RabbitMQ, Vhost
from coursework.checks.randomness import Random
from coursework.checks.relay import Relay, Relays, Traffic
from coursework.checks.reply import Headers, Reply
from coursework.checks.rights import Request, is_allowed
from coursework.checks.runner import Commit, PipelineRun, Runner
from coursework.checks.sandbox import Sandbox, SandboxClient
from coursework.checks.server import Server
from coursework.checks.sql import Held
from coursework.checks.stack import Stack
from coursework.checks.statements import Recording
from coursework.checks.stoppable import Exit, Stoppable
from coursework.checks.store import Store
from coursework.checks.stream import Stream, at_rate
from coursework.checks.stub import HeldBack, Received, Stub
from coursework.checks.terraform import Change, Plan, Terraform
from coursework.checks.traces import Span, spans_in
from coursework.checks.valkey import Valkey
from coursework.checks.wire import Connection
from coursework.checks.workflows import Workflow, all_texts, mapping, read_mapping
from coursework.containers.archive import Link
from coursework.containers.saved import Layer, SavedImage
from coursework.containers.steps import Step
from coursework.submissions.files import Submission

__all__ = [
    "CHECK_AGAIN",
    "Account",
    "Alertmanager",
    "Backend",
    "Backends",
    "Builder",
    "Change",
    "Client",
    "Cloud",
    "CloudStack",
    "Cluster",
    "ClusterClient",
    "Commit",
    "Composed",
    "ComposedDatabase",
    "Connection",
    "Cost",
    "Crowd",
    "Database",
    "Deadline",
    "EventStream",
    "Exit",
    "Failure",
    "Finding",
    "Finished",
    "Headers",
    "Held",
    "HeldBack",
    "Image",
    "Layer",
    "Link",
    "Lint",
    "Linting",
    "Meanwhile",
    "Memcached",
    "Message",
    "Monitoring",
    "Namespace",
    "Nats",
    "PgBouncer",
    "PgBouncers",
    "PipelineRun",
    "Plan",
    "PlanStep",
    "Postgres",
    "Program",
    "Prometheus",
    "Queries",
    "Queue",
    "RabbitMQ",
    "Random",
    "Received",
    "Record",
    "Recording",
    "Refusal",
    "Relay",
    "Relays",
    "Reply",
    "Request",
    "Rows",
    "Runner",
    "Sandbox",
    "SandboxClient",
    "SavedImage",
    "Script",
    "Server",
    "ServerEvent",
    "Span",
    "Stack",
    "Start",
    "StartFailure",
    "Step",
    "Stoppable",
    "Store",
    "StoredMessage",
    "Story",
    "Stream",
    "Stub",
    "Submission",
    "Terraform",
    "Traffic",
    "Valkey",
    "Vhost",
    "Workflow",
    "advising",
    "all_texts",
    "at_once",
    "at_rate",
    "eventually",
    "fail",
    "is_allowed",
    "mapping",
    "points",
    "read_mapping",
    "spans_in",
]
