"""Strawberry: the schema is Python classes, and the limits are an extension of it."""

import os
from collections.abc import Iterable
from typing import Annotated, Any

import psycopg
import strawberry
import uvicorn
from graphql import FragmentDefinitionNode, FragmentSpreadNode, GraphQLError
from graphql import FieldNode, get_operation_ast
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from starlette.requests import Request
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import SchemaExtension
from strawberry.types import Info

Row = dict[str, Any]
SEATS = 60
SHOWS = """SELECT id, title, price_cents,
    to_char(starts_at AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS starts_at FROM shows"""


async def rows_of(statement: str, *values: object) -> list[Row]:
    async with await psycopg.AsyncConnection.connect(
        os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row
    ) as connection:
        # As frameworks do: a new connection asks for the types that its driver doesn't know.
        await TypeInfo.fetch(connection, "citext")
        return await (await connection.execute(statement, values)).fetchall()


def by_key(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found


class Loaders:
    def __init__(self) -> None:
        self.show = DataLoader(load_fn=self.load_shows)
        self.user = DataLoader(load_fn=self.load_users)
        self.bookings = DataLoader(load_fn=self.load_bookings)
        self.sold = DataLoader(load_fn=self.load_sold)

    async def load_shows(self, ids: list[int]) -> "list[Show | None]":
        found = by_key(await rows_of(f"{SHOWS} WHERE id = ANY(%s)", ids), "id")
        return [Show(**found[i][0]) if i in found else None for i in ids]

    async def load_users(self, names: list[str]) -> "list[User | None]":
        rows = await rows_of("SELECT name, email FROM users WHERE name = ANY(%s)", names)
        found = by_key(rows, "name")
        return [User(name=n, stored=found[n][0]["email"]) if n in found else None for n in names]

    async def load_bookings(self, ids: list[int]) -> "list[list[Booking]]":
        statement = "SELECT id, seat, show_id, user_name FROM bookings WHERE show_id = ANY(%s) ORDER BY id"
        found = by_key(await rows_of(statement, ids), "show_id")
        return [[Booking(**row) for row in found.get(i, [])] for i in ids]

    async def load_sold(self, ids: list[int]) -> list[int]:
        statement = "SELECT show_id, count(*) AS sold FROM bookings WHERE show_id = ANY(%s) GROUP BY 1"
        found = by_key(await rows_of(statement, ids), "show_id")
        return [found[i][0]["sold"] if i in found else 0 for i in ids]


@strawberry.type
class User:
    name: str
    stored: strawberry.Private[str]

    @strawberry.field
    def email(self, info: Info) -> str | None:
        if info.context["user"] == self.name or info.context["staff"]:
            return self.stored
        raise GraphQLError("not yours")


@strawberry.type
class Booking:
    id: strawberry.ID
    seat: str
    show_id: strawberry.Private[int]
    user_name: strawberry.Private[str]

    @strawberry.field
    async def show(self, info: Info) -> "Show":
        return await info.context["load"].show.load(self.show_id)

    @strawberry.field
    async def user(self, info: Info) -> User:
        return await info.context["load"].user.load(self.user_name)


@strawberry.type
class Show:
    id: strawberry.ID
    title: str
    price_cents: int
    starts_at: str

    @strawberry.field
    async def seats_free(self, info: Info) -> int:
        return SEATS - await info.context["load"].sold.load(int(self.id))

    @strawberry.field
    async def bookings(self, info: Info) -> list[Booking]:
        return await info.context["load"].bookings.load(int(self.id))


@strawberry.type
class ShowPage:
    nodes: list[Show]
    next: str | None


@strawberry.type
class SeatTaken:
    seat: str


@strawberry.type
class UnknownShow:
    show_id: strawberry.ID


BookResult = Annotated[Booking | SeatTaken | UnknownShow, strawberry.union("BookResult")]


@strawberry.type
class Query:
    @strawberry.field
    async def show(self, info: Info, id: strawberry.ID) -> Show | None:
        return await info.context["load"].show.load(int(id))

    @strawberry.field
    async def shows(self, info: Info, first: int = 20, after: str | None = None) -> ShowPage:
        statement = f"{SHOWS} WHERE id > %s ORDER BY id FETCH FIRST %s ROWS ONLY"
        rows = await rows_of(statement, int(after or 0), first + 1)
        nodes = [Show(**row) for row in rows[:first]]
        return ShowPage(nodes=nodes, next=str(nodes[-1].id) if len(rows) > first else None)

    @strawberry.field
    async def me(self, info: Info) -> User | None:
        user = info.context["user"]
        return await info.context["load"].user.load(user) if user else None


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def book(self, info: Info, show_id: strawberry.ID, seat: str) -> BookResult:
        if not info.context["user"]:
            raise GraphQLError("who are you?")
        info.context["load"] = Loaders()
        try:
            [row] = await rows_of(
                "INSERT INTO bookings (show_id, seat, user_name) VALUES (%s, %s, %s)"
                " RETURNING id, seat, show_id, user_name",
                int(show_id), seat, info.context["user"],
            )  # fmt: skip
        except psycopg.errors.UniqueViolation:
            return SeatTaken(seat=seat)
        except psycopg.errors.ForeignKeyViolation:
            return UnknownShow(show_id=show_id)
        return Booking(**row)


class Bounds(SchemaExtension):
    def on_validate(self) -> Iterable[None]:
        context = self.execution_context
        document = context.graphql_document
        operation = document and get_operation_ast(document, context.operation_name)
        if operation:
            fragments = {
                d.name.value: d
                for d in document.definitions
                if isinstance(d, FragmentDefinitionNode)
            }
            depth, fields = measured(operation, fragments, {})
            if depth > 10 or fields > 200:
                context.pre_execution_errors = [GraphQLError(f"{depth} deep, {fields} fields")]
        yield


def measured(node: Any, fragments: dict[str, Any], known: dict[str, Any]) -> tuple[int, int]:
    depth = fields = 0
    for selection in node.selection_set.selections if node.selection_set else ():
        if isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in known:
                known[name] = (0, 0)
                if name in fragments:
                    known[name] = measured(fragments[name], fragments, known)
            below, within = known[name]
        else:
            below, within = measured(selection, fragments, known)
        one = int(isinstance(selection, FieldNode))
        depth, fields = max(depth, below + one), fields + within + one
    return depth, fields


class Door(GraphQL):
    async def get_context(self, request: Request, response: Any = None) -> Row:
        return {
            "user": request.headers.get("x-user"),
            "staff": request.headers.get("x-role") == "staff",
            "load": Loaders(),
        }


schema = strawberry.Schema(
    Query, Mutation, types=[Booking, SeatTaken, UnknownShow], extensions=[Bounds]
)
app = Starlette(routes=[Route("/graphql", Door(schema))])

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
