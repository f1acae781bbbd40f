"""The page of answers: GET / is the form, POST /answer asks, GET /answer/<id> shows, GET /answer/<id>/<file> gives.

Nothing else is served, nothing comes from another host, and nobody but this machine's own pages may ask.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import InputError, one_line
from pipeline.serving.kept import MINUTES, Answer, Kept
from pipeline.serving.models import Models
from pipeline.serving.uploads import LARGEST, TooLargeError, limited, own_name

FOLDER = Path(__file__).parent
STYLE, SCRIPT = ((FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js"))
HOSTS = ["127.0.0.1", "localhost"]  # no other name may lead here: DNS rebinding
MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp"}  # of what is shown; all else is kept
PAGE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
).get_template("page.html.jinja")


def hashed(text: str) -> str:
    """An inline style or script as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; img-src 'self' data:; style-src {hashed(STYLE)}; "
    f"script-src {hashed(SCRIPT)}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # no-referrer would take the Origin from the form too
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def make_app(models: Models) -> Starlette:
    """The page of these models."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        models.load()
        yield
        models.close()

    app = Starlette(
        routes=[
            Route("/", form, methods=["GET"]),
            Route("/answer", ask, methods=["POST"]),
            Route("/answer/{id}", show, methods=["GET"]),
            Route("/answer/{id}/{file}", give, methods=["GET"]),
        ],
        middleware=[Middleware(WithHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
        exception_handlers={HTTPException: refuse, InputError: refuse, ClientDisconnect: refuse},
        lifespan=lifespan,
    )
    app.state.models = models
    app.state.kept = Kept()
    return app


# --- what is asked and answered -----------------------------------------------------------------


async def form(request: Request) -> Response:
    """The form alone."""
    return page(request)


async def ask(request: Request) -> Response:
    """Answer the file of a form, and lead to the answer.

    Raises:
        HTTPException: another site asks, or the form is broken.
        InputError: the file is too large, of no kind that is read, or nothing can be said of it.
    """
    own_site = f"http://{request.headers['host']}"
    if request.headers.get("origin", own_site) != own_site:
        raise HTTPException(403, "another site may not ask here; open the page itself")
    models: Models = request.app.state.models
    async with limited(request).form(max_files=1, max_fields=1) as fields:
        upload, options = fields.get("file"), fields.get("options", "")
        if not isinstance(upload, UploadFile) or not upload.filename:
            raise InputError("no file; choose one, or drop it on the page")
        name = own_name(upload.filename, models.suffixes)
        if upload.size == 0:
            raise InputError(f"{name}: the file is empty; give one with something in it")
        question = models.thread.submit(models.answer, name, upload.file, str(options))
        try:
            parts = await asyncio.wrap_future(question)
        except asyncio.CancelledError as closed:
            raise HTTPException(
                503, f"{name}: closed before it was answered; start it again, and ask again"
            ) from closed
    return RedirectResponse(f"/answer/{request.app.state.kept.add(name, parts)}", 303)


async def show(request: Request) -> Response:
    """An answer."""
    return page(request, kept(request))


async def give(request: Request) -> Response:
    """A file of an answer: pictures to be shown, all else to be kept.

    Raises:
        HTTPException: there is no such file.
    """
    name = request.path_params["file"]
    content = kept(request).file(name)
    if content is None:
        raise HTTPException(404, "this answer has no such file; go back to it")
    media_type = MEDIA_TYPES.get(Path(name).suffix)
    if media_type:
        return Response(content, media_type=media_type)
    return Response(content, headers={"Content-Disposition": "attachment"}, media_type="application/octet-stream")


def kept(request: Request) -> Answer:
    """The answer that the address names.

    Raises:
        HTTPException: there is none.
    """
    answer: Answer | None = request.app.state.kept.get(request.path_params["id"])
    if answer is None:
        raise HTTPException(
            404, f"no answer is kept here, or no longer: each is for {MINUTES} minutes; drop the file again"
        )
    return answer


async def refuse(request: Request, mistake: Exception) -> Response:
    """The form with one line about what is wrong."""
    if isinstance(mistake, HTTPException):
        return page(request, error=mistake.detail, status=mistake.status_code)
    return page(request, error=one_line(mistake), status=413 if isinstance(mistake, TooLargeError) else 422)


def page(request: Request, answer: Answer | None = None, error: str = "", status: int = 200) -> Response:
    """The page, with an answer or what is wrong."""
    models: Models = request.app.state.models
    text = PAGE.render(
        answer=answer,
        address=request.path_params.get("id"),
        error=error,
        groups=models.groups,
        learned=models.learned,
        missing=models.missing,
        loading=models.loading,
        suffixes=models.suffixes,
        largest=LARGEST,
        minutes=MINUTES,
        style=STYLE,
        script=SCRIPT,
    )
    return HTMLResponse(text, status)


class WithHeaders:
    """Puts HEADERS on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)
