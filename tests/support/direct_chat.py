"""A harness of verifiers that sends the conversation to the model once, in this process.

verifiers' own harness for conversations does the same in a program that it downloads.
"""

from typing import Any

import httpx
import verifiers.v1 as vf
from verifiers.v1.dialects.chat import message_to_wire
from verifiers.v1.runtimes import ProgramResult

__all__ = ["DirectChat"]


class DirectChat(vf.Harness[vf.HarnessConfig]):
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: Any,
        tool_interception_url: str | None = None,
    ) -> ProgramResult:
        body = {"model": ctx.model, "messages": [message_to_wire(message) for message in data.prompt]}
        headers = {"authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(timeout=60) as client:
            reply = await client.post(f"{endpoint}/chat/completions", json=body, headers=headers)
        return ProgramResult(0 if reply.is_success else 1, "", reply.text)
