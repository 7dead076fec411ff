"""Two versions in FastAPI: models do the translating, and the document is generated from them."""

import json
import os
import re
import time
from datetime import datetime
from decimal import Decimal
from email.utils import formatdate
from threading import Lock
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr

DEPRECATED_AT, SUNSET_AT = os.environ.get("DEPRECATED_AT"), os.environ.get("SUNSET_AT")
CODES = {400: "bad-json", 404: "not-found", 410: "version-ended", 422: "invalid-show"}

lock = Lock()
shows: dict[int, dict[str, Any]] = {}


def in_form(form: str, length: int):
    def check(text: str) -> str:
        moment = datetime.strptime(text, form)
        if len(text) != length or not text.isascii() or moment.strftime(form) != text:
            raise ValueError(text)
        return text

    return AfterValidator(check)


def money(text: str) -> str:
    if not re.fullmatch(r"(0|[1-9][0-9]{0,4})\.[0-9]{2}", text) or Decimal(text) == 0:
        raise ValueError(text)
    return text


class Sent1(BaseModel):
    title: StrictStr = Field(min_length=1)
    when: Annotated[StrictStr, in_form("%Y-%m-%d %H:%M", 16)]
    price: Annotated[StrictStr, AfterValidator(money)]

    def store(self, before: dict[str, Any]) -> dict[str, Any]:
        starts_at = self.when.replace(" ", "T") + ":00Z"
        return {**before, "title": self.title, "starts_at": starts_at, "price_cents": int(Decimal(self.price) * 100)}


class Sent2(BaseModel):
    title: StrictStr = Field(min_length=1)
    starts_at: Annotated[StrictStr, in_form("%Y-%m-%dT%H:%M:00Z", 20)]
    price_cents: StrictInt = Field(ge=1, le=9_999_999)
    venue: Annotated[StrictStr, Field(min_length=1)] | None = None

    def store(self, before: dict[str, Any]) -> dict[str, Any]:
        return {**before, **self.model_dump()}


class Show(BaseModel):
    model_config = ConfigDict(title="Show")

    id: int
    title: str
    starts_at: str
    price_cents: int
    venue: str | None


class Shows(BaseModel):
    items: list[Show]


class Problem(BaseModel):
    type: str
    title: str
    status: int


def in_v1(show: dict[str, Any]) -> dict[str, Any]:
    when = show["starts_at"][:16].replace("T", " ")
    price = str(Decimal(show["price_cents"]).scaleb(-2))
    return {"id": show["id"], "title": show["title"], "when": when, "price": price}


class Refusal(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


def refusal(request: Request, status: int) -> Response:
    if request.state.version == 1 and status != 410:
        return JSONResponse({"error": CODES[status].replace("-", "_")}, status)
    problem = {"type": f"/problems/{CODES[status]}", "title": CODES[status].replace("-", " "), "status": status}
    return Response(json.dumps(problem), status, media_type="application/problem+json")


app = FastAPI(title="Lantern", version="2")


@app.exception_handler(Refusal)
def refuse(request: Request, error: Refusal) -> Response:
    return refusal(request, error.status)


@app.exception_handler(RequestValidationError)
def refuse_invalid(request: Request, error: RequestValidationError) -> Response:
    kinds = {(one["type"], one["loc"][0]) for one in error.errors()}
    if ("json_invalid", "body") in kinds:
        return refusal(request, 400)
    return refusal(request, 404 if any(place == "path" for _, place in kinds) else 422)


@app.middleware("http")
async def choose(request: Request, call_next):
    path = request.url.path
    by_path = re.match(r"/v([12])(/|$)", path)
    named = request.headers.get("lantern-version", "1")
    if by_path:
        version = int(by_path[1])
    elif named in ("1", "2"):
        version = int(named)
        request.scope["path"] = f"/v{version}{path}"
    else:
        reply = JSONResponse({"error": "unknown_version", "supported": [1, 2]}, 400)
        reply.headers["Vary"] = "Lantern-Version"
        return reply
    request.state.version = version
    request.state.base = f"/v{version}/shows" if by_path else "/shows"
    if version == 1 and SUNSET_AT and time.time() >= int(SUNSET_AT):
        reply = refusal(request, 410)
    else:
        reply = await call_next(request)
    if not by_path:
        reply.headers["Vary"] = "Accept-Encoding, lantern-version"
    if version == 1:
        rest = request.scope["path"].removeprefix("/v1")
        reply.headers["Link"] = f"<https://lantern.example/terms>; rel=terms, </v2{rest}>; rel=successor-version"
        if DEPRECATED_AT:
            reply.headers["Deprecation"] = f"@{DEPRECATED_AT}"
        if SUNSET_AT:
            reply.headers["Sunset"] = formatdate(int(SUNSET_AT), usegmt=True)
    return reply


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {s: {"description": CODES[s], "content": {"application/problem+json": {"schema": schema}}} for s in statuses}


def find(show_id: str) -> dict[str, Any]:
    if not re.fullmatch("[0-9]+", show_id) or int(show_id) not in shows:
        raise Refusal(404)
    return shows[int(show_id)]


def add(request: Request, response: Response, sent: Sent1 | Sent2) -> dict[str, Any]:
    with lock:
        show_id = 4000 + len(shows)
        shows[show_id] = sent.store({"id": show_id, "venue": None})
    response.headers["Location"] = f"{request.state.base}/{show_id}"
    return shows[show_id]


def replace(show_id: str, sent: Sent1 | Sent2) -> dict[str, Any]:
    with lock:
        before = find(show_id)
        shows[before["id"]] = sent.store(before)
    return shows[before["id"]]


@app.post("/v2/shows", status_code=201, responses=problems(400, 422))
def add2(request: Request, response: Response, sent: Sent2) -> Show:
    return Show(**add(request, response, sent))


@app.get("/v2/shows")
def list2() -> Shows:
    return Shows(items=[Show(**shows[key]) for key in sorted(shows)])


@app.get("/v2/shows/{show_id}", responses=problems(404, 422))
def get2(show_id: str) -> Show:
    return Show(**find(show_id))


@app.put("/v2/shows/{show_id}", responses=problems(400, 404, 422))
def put2(show_id: str, sent: Sent2) -> Show:
    return Show(**replace(show_id, sent))


v1 = APIRouter(prefix="/v1", include_in_schema=False)


@v1.post("/shows", status_code=201)
def add1(request: Request, response: Response, sent: Sent1) -> dict[str, Any]:
    return in_v1(add(request, response, sent))


@v1.get("/shows")
def list1() -> list[dict[str, Any]]:
    return [in_v1(shows[key]) for key in sorted(shows)]


@v1.get("/shows/{show_id}")
def get1(show_id: str) -> dict[str, Any]:
    return in_v1(find(show_id))


@v1.put("/shows/{show_id}")
def put1(show_id: str, sent: Sent1) -> dict[str, Any]:
    return in_v1(replace(show_id, sent))


app.include_router(v1)
generated = app.openapi


def with_problems() -> dict[str, Any]:
    document = generated()
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    return document


app.openapi = with_problems

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), access_log=False)
