"""Errors in the form that OpenAI clients read: {"error": {message, type, param, code}}."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from apps.serving.services import NoWorker, UnknownDeployment, WrongTask
from contracts.messages import ErrorType


class APIError(Exception):
    def __init__(self, status: int, message: str, *, kind: str, param: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": kind, **extra}}
        self.headers: dict[str, str] = {}


# What a worker can refuse, and how HTTP says it.
_STATUS = {
    ErrorType.CONTEXT_LENGTH_EXCEEDED: 400,
    ErrorType.INVALID_REQUEST: 422,
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
    """`field: reason` as a 422 that names the field."""
    field, _, reason = str(error).partition(": ")
    return APIError(422, f"{field}: {reason}", kind="invalid_request_error", param=field)


def install(api: NinjaAPI) -> None:
    """Let the API answer every error in this form."""

    @api.exception_handler(APIError)
    def on_api_error(request: HttpRequest, error: APIError) -> HttpResponse:
        return JsonResponse(error.body, status=error.status, headers=error.headers)

    @api.exception_handler(ValidationError)
    def on_validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
        first = error.errors[0]
        field = ".".join(str(part) for part in first["loc"] if part not in {"body", "payload"}) or "body"
        return on_api_error(
            request, APIError(422, f"{field}: {first['msg']}", kind="invalid_request_error", param=field)
        )

    @api.exception_handler(AuthenticationError)
    def on_authentication(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        message = "The API key is missing or not valid. Make one on the keys page and send it as a Bearer token."
        return on_api_error(request, APIError(401, message, kind="invalid_api_key"))

    @api.exception_handler(UnknownDeployment)
    def on_unknown(request: HttpRequest, error: UnknownDeployment) -> HttpResponse:
        wrong = APIError(404, str(error), kind="model_not_found", param="model", available=error.available)
        return on_api_error(request, wrong)

    @api.exception_handler(WrongTask)
    def on_wrong_task(request: HttpRequest, error: WrongTask) -> HttpResponse:
        wrong = APIError(400, str(error), kind="invalid_request_error", param="model", task=error.task)
        return on_api_error(request, wrong)

    @api.exception_handler(NoWorker)
    def on_no_worker(request: HttpRequest, error: NoWorker) -> HttpResponse:
        wrong = APIError(503, str(error), kind="service_unavailable")
        wrong.headers["Retry-After"] = str(error.retry_after)
        return on_api_error(request, wrong)

    @api.exception_handler(HttpError)
    def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        if isinstance(error.__cause__, APIError):  # ninja wraps what the parser raises
            return on_api_error(request, error.__cause__)
        return on_api_error(request, APIError(error.status_code, error.message, kind="invalid_request_error"))
