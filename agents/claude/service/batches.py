"""A request as a batch of one, at half price: for a lane whose answer nobody waits for.

The API ends a batch within 24 hours. What ends as errored, canceled or expired is not billed
(platform.claude.com, "Batch processing").
"""

import time
from collections.abc import Mapping
from typing import Any

import anthropic
from anthropic.types import Message

from agents.claude.failures import CallFailedError

CUSTOM_ID = "request"
POLLS = 60  # looks at a batch within the patience for it
FEWEST_S, MOST_S = 0.02, 60.0  # between two looks
CANCEL_S = 60.0  # longest wait for what became of a batch that was canceled


def answer_of_batch(client: anthropic.Anthropic, params: Mapping[str, Any], patience: float) -> Message:
    """The answer to a request that is sent as a batch, within `patience` seconds.

    Raises CallFailedError: not billed if the batch ended without an answer, billed if nobody knows; and the
    SDK's errors if the batch cannot be made.
    """
    batch = client.messages.batches.create(requests=[{"custom_id": CUSTOM_ID, "params": params}])
    try:
        if not _ended(client, batch.id, patience, min(MOST_S, max(FEWEST_S, patience / POLLS))):
            client.messages.batches.cancel(batch.id)
            if not _ended(client, batch.id, min(CANCEL_S, patience), FEWEST_S):
                raise CallFailedError(
                    f"the batch did not end within agent.patience ({patience:g} s)",
                    retryable=True,
                    billed=True,
                )
        return _result(client, batch.id)
    except anthropic.APIError as error:
        raise CallFailedError(f"the batch was lost: {error}", retryable=True, billed=True) from error


def _ended(client: anthropic.Anthropic, batch: str, within: float, pause: float) -> bool:
    """Whether a batch ends in so many seconds."""
    deadline = time.monotonic() + within
    while client.messages.batches.retrieve(batch).processing_status != "ended":
        if time.monotonic() + pause > deadline:
            return False
        time.sleep(pause)
    return True


def _result(client: anthropic.Anthropic, batch: str) -> Message:
    for line in client.messages.batches.results(batch):
        if line.custom_id != CUSTOM_ID:
            continue
        result = line.result
        if result.type == "succeeded":
            return result.message
        raise CallFailedError(f"the batch ended as {str(result.type)[:40]}", retryable=True)
    raise CallFailedError("the batch ended without an answer", retryable=True, billed=True)
