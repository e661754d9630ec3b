"""Routes that are asked nothing but their body, which is read and judged in one step."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class SwiftRoute(APIRoute):
    """A route whose endpoint takes one argument, the body's model.

    The usual way looks for parameters in path, query and headers, parses the content type as if it were a mail's and
    the body twice, once to plain values and once to the model: most of the time that a remembered answer takes. Here
    bytes become the model at once. Whatever does not fit goes the usual way after all, so that mistakes are told in the
    same words everywhere.
    """

    def get_route_handler(self) -> Handler:
        """See ``APIRoute``."""
        usual = super().get_route_handler()
        (model,) = (each.field_info.annotation for each in self.dependant.body_params)
        assert isinstance(model, type) and issubclass(model, BaseModel)  # noqa: S101 - what the class is for
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            try:
                asked = model.model_validate_json(await request.body())
            except ValidationError:
                return await usual(request)
            answer: Response = await endpoint(asked)
            return answer

        return handle
