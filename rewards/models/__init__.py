"""Clients for language models: recordings by default, live endpoints, and a mailbox for labs without a network."""

from rewards.models.connect import BACK_ENDS, connect
from rewards.models.limits import Budget
from rewards.models.mailbox import Mailbox, NoReplyError, record_mailbox
from rewards.models.messages import Client, Message, Reply, Request, Usage, prompt_hash, transcript
from rewards.models.recordings import NotRecordedError, Recordings, recorded

__all__ = [
    "BACK_ENDS",
    "Budget",
    "Client",
    "Mailbox",
    "Message",
    "NoReplyError",
    "NotRecordedError",
    "Recordings",
    "Reply",
    "Request",
    "Usage",
    "connect",
    "prompt_hash",
    "record_mailbox",
    "recorded",
    "transcript",
]
