"""The drill of S004.2: one tenant tries every verb on every row of another, with row-level security and without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from prodsprints.controls.data_protection import isolation
from prodsprints.controls.data_protection.catalogue import Table, plant, read
from prodsprints.controls.data_protection.isolation import Gap
from prodsprints.controls.data_protection.trespass import Attempt, attempts, refused
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.scratch import ScratchDatabase, scratch_database
from prodsprints.drills.stage import Stage
from prodsprints.store.database import Database
