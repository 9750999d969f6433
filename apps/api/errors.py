"""Errors in the form that OpenAI clients read: {"error": {message, type, param, code}}."""

from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from apps.quotas.admission import LimitReached
from apps.quotas.admission import headers as ratelimit_headers
from apps.serving.services import NoWorker, UnknownDeployment, WrongTask
from contracts.messages import ErrorType

log = structlog.get_logger()
BAD_REQUEST = "invalid_request_error"


class APIError(Exception):
    def __init__(self, status: int, message: str, *, kind: str, param: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": kind, **extra}}
        self.headers: dict[str, str] = {}

    def response(self) -> HttpResponse:
        return JsonResponse(self.body, status=self.status, headers={**ratelimit_headers(), **self.headers})


# What a worker can refuse, and how HTTP says it.
_STATUS = {
    ErrorType.CONTEXT_LENGTH_EXCEEDED: 400,
    ErrorType.INVALID_REQUEST: 400,
    ErrorType.DEADLINE_EXCEEDED: 504,
    ErrorType.OVERLOADED: 503,
    ErrorType.INTERNAL: 500,
}


def worker_error(data: dict[str, Any]) -> APIError:
    """The error event of a stream as an HTTP error."""
    extra = {name: value for name, value in data.items() if name not in {"type", "message", "outcome"}}
    error = APIError(_STATUS.get(data["type"], 500), data["message"], kind=data["type"], **extra)
    if error.status == 503:
        error.headers["Retry-After"] = "5"
    return error


def invalid(error: ValueError) -> APIError:
    """`field: reason`, or an error that knows its field, as a 400 that names it."""
    field, colon, reason = str(error).partition(": ")
    if known := getattr(error, "field", ""):
        field, reason = known, str(error)
    elif not (colon and field.isidentifier()):
        return APIError(400, str(error), kind=BAD_REQUEST)
    return APIError(400, f"{field}: {reason}", kind=BAD_REQUEST, param=field)


def not_found(message: str = "This is gone or never was.", param: str | None = None) -> APIError:
    return APIError(404, message, kind="not_found", param=param)


def conflict(message: str) -> APIError:
    """What is asked for does not fit the state that the thing is in."""
    return APIError(409, message, kind="conflict")


def unknown_address(request: HttpRequest) -> APIError:
    return APIError(404, f"There is nothing at {request.method} {request.path}.", kind=BAD_REQUEST, code="unknown_url")


def wrong_method(request: HttpRequest, allowed: str) -> APIError:
    message = f"{request.path} takes {allowed}, not {request.method}."
    error = APIError(405, message, kind=BAD_REQUEST, code="method_not_supported")
    error.headers["Allow"] = allowed
    return error


def install(api: NinjaAPI) -> None:
    """Let the API answer every error in this form."""

    @api.exception_handler(APIError)
    def on_api_error(request: HttpRequest, error: APIError) -> HttpResponse:
        return error.response()

    @api.exception_handler(ValidationError)
    def on_validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return _of_validation(error).response()

    @api.exception_handler(AuthenticationError)
    def on_authentication(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        message = "The API key is missing or not valid. Make one on the keys page and send it as a Bearer token."
        return APIError(401, message, kind="invalid_api_key").response()

    @api.exception_handler(Http404)
    def on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
        return not_found().response()

    @api.exception_handler(UnknownDeployment)
    def on_unknown(request: HttpRequest, error: UnknownDeployment) -> HttpResponse:
        return APIError(404, str(error), kind="model_not_found", param="model", available=error.available).response()

    @api.exception_handler(WrongTask)
    def on_wrong_task(request: HttpRequest, error: WrongTask) -> HttpResponse:
        return APIError(400, str(error), kind=BAD_REQUEST, param="model", task=error.task).response()

    @api.exception_handler(NoWorker)
    def on_no_worker(request: HttpRequest, error: NoWorker) -> HttpResponse:
        wrong = APIError(503, str(error), kind="service_unavailable")
        wrong.headers["Retry-After"] = str(error.retry_after)
        return wrong.response()

    @api.exception_handler(OperationalError)
    @api.exception_handler(InterfaceError)
    def on_outage(request: HttpRequest, error: Exception) -> HttpResponse:
        log.warning("no database", path=request.path, error=str(error))
        wrong = APIError(503, "The database does not answer. Try again in a few seconds.", kind="service_unavailable")
        wrong.headers["Retry-After"] = "5"
        return wrong.response()

    @api.exception_handler(LimitReached)
    def on_limit(request: HttpRequest, error: LimitReached) -> HttpResponse:
        return _of_limit(error).response()

    @api.exception_handler(HttpError)
    def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        if isinstance(error.__cause__, APIError):  # ninja wraps what the parser raises
            return error.__cause__.response()
        return APIError(error.status_code, error.message, kind=BAD_REQUEST).response()

    @api.exception_handler(Exception)
    def on_anything(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("API failed", path=request.path, exc_info=error)
        return APIError(500, "The server made a mistake. It is in its log.", kind="server_error").response()


def _of_limit(error: LimitReached) -> APIError:
    counter = error.counter
    whose = {"organization": "The organisation's", "team": "The team's", "user": "Your", "key": "This key's"}
    limit = f"{whose[counter.scope]} limit of {counter.limit.amount} {counter.metric} {counter.window.label}"
    message = f"{limit} is reached. Try again in {error.retry_after} s."
    if error.is_final:
        message = f"{limit} does not leave room for this, however long it waits."
    refused = APIError(429, message, kind=error.kind, scope=counter.scope, metric=counter.metric,
                       window=counter.window, limit=counter.limit.amount)  # fmt: skip
    refused.headers["Retry-After"] = str(error.retry_after)
    return refused


_PLACES = {"body", "form", "payload", "query", "path"}  # of the request, which nobody has named


def _of_validation(error: ValidationError) -> APIError:
    first = error.errors[0]
    parts = [str(part) for part in first["loc"] if part not in _PLACES]
    field = ".".join(parts) or "body"
    reason = first["msg"].removeprefix("Value error, ")
    return APIError(400, f"{field}: {reason}", kind=BAD_REQUEST, param=field)
