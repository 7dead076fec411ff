# FastAPI and psycopg_pool: one deadline for the whole request, and a connection that is late is shut down.
import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import Annotated

import psycopg
import uvicorn
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import BaseModel

PATIENCE_S = int(os.environ["POOL_TIMEOUT_MS"]) / 1000

pool = AsyncConnectionPool(
    os.environ["DATABASE_URL"], min_size=1, max_size=int(os.environ["POOL_MAX"]), open=False,
    kwargs={"row_factory": dict_row, "prepare_threshold": None},
)


@asynccontextmanager
async def life(app):
    await pool.open()
    yield
    await pool.close(timeout=1)


app = FastAPI(lifespan=life)


class Refusal(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


class Order(BaseModel):
    show_id: int
    seat: str
    user: str


@app.exception_handler(Refusal)
async def refuse(request, refusal):
    return JSONResponse({"error": refusal.code}, refusal.status)


async def in_theatre(theatre, work):
    if not theatre:
        raise Refusal(400, "theatre_missing")
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    try:
        connection = await pool.getconn(timeout=PATIENCE_S)
    except PoolTimeout:
        raise Refusal(503, "database_busy") from None
    # A task of its own: a caller who leaves ends the request, and the connection still goes back.
    task = asyncio.create_task(lend(connection, theatre, work))
    await asyncio.wait([task], timeout=max(0.0, until - loop.time()))
    if not task.done():
        hang_up(connection)
        task.add_done_callback(lambda done: done.exception())
        raise Refusal(503, "database_busy")
    try:
        return task.result()
    except psycopg.errors.UniqueViolation:
        raise Refusal(409, "seat_taken") from None
    except psycopg.errors.CheckViolation:
        raise Refusal(400, "bad_seat") from None
    except psycopg.OperationalError:
        raise Refusal(503, "database_busy") from None


async def lend(connection, theatre, work):
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.theatre', %s, true)", [theatre])
            return await work(connection)
    finally:
        await pool.putconn(connection)


def hang_up(connection):
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


Theatre = Annotated[str | None, Header(alias="X-Theatre")]


@app.get("/api/shows")
async def shows(theatre: Theatre = None):
    async def work(connection):
        cursor = await connection.execute("SELECT id, title, price_cents, sold FROM shows")
        return {"shows": await cursor.fetchall()}

    return await in_theatre(theatre, work)


@app.get("/api/report")
async def report(theatre: Theatre = None):
    async def work(connection):
        return await (await connection.execute("SELECT shows, sold FROM report()")).fetchone()

    return await in_theatre(theatre, work)


@app.post("/api/bookings", status_code=201)
async def book(order: Order, theatre: Theatre = None):
    async def work(connection):
        cursor = await connection.execute(
            "SELECT price_cents FROM shows WHERE id = %s", [order.show_id])
        show = await cursor.fetchone()
        if show is None:
            raise Refusal(404, "not_found")
        cursor = await connection.execute(
            "INSERT INTO bookings (show_id, seat, user_name) VALUES (%s, %s, %s) RETURNING id",
            [order.show_id, order.seat, order.user])
        booking = await cursor.fetchone()
        await connection.execute("UPDATE shows SET sold = sold + 1 WHERE id = %s", [order.show_id])
        return {**order.model_dump(), "id": str(booking["id"]), **show}

    return await in_theatre(theatre, work)


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
