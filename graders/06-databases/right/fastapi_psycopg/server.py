# FastAPI and psycopg: row locks instead of a CHECK, a connection for each change, one for all looks.
import asyncio
import os
import re
import threading

import psycopg
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

ANSWER_WITHIN_S = 1.6


class Refusal(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


class Order(BaseModel):
    seat: str
    user: str


class TopUp(BaseModel):
    cents: int


app = FastAPI()


@app.exception_handler(Refusal)
def refuse(request, refusal):
    return JSONResponse({"error": refusal.code}, refusal.status)


async def in_time(run):
    """Run in a thread; whoever waits is answered in time, however long it takes."""
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.to_thread(run)), ANSWER_WITHIN_S)
    except (psycopg.OperationalError, TimeoutError):
        raise Refusal(503, "database_away") from None


async def in_transaction(work):
    """Run work(connection) in a transaction, which is undone if nobody waits for it any more."""
    given_up = threading.Event()

    def run():
        # The block commits at its end, and rolls back when it is left by an error.
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=2) as connection:
            result = work(connection)
            if given_up.is_set():
                raise TimeoutError("nobody waits for this any more")
            return result

    try:
        return await in_time(run)
    finally:
        given_up.set()


def connect():
    return psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=2, autocommit=True)


# It is there from the start. That it broke is noticed by a request, and mended by the next.
kept = connect()


def look(statement, values):
    global kept
    if kept.closed:
        kept = connect()
    return one(kept.execute(statement, values))


def one(cursor):
    row = cursor.fetchone()
    if row is None:
        raise Refusal(404, "not_found")
    return row[0]


@app.post("/api/shows/{show_id}/bookings", status_code=201)
async def book(show_id: int, order: Order):
    if not re.fullmatch(r"[A-F]([1-9]|10)", order.seat):
        raise Refusal(400, "bad_seat")

    def purchase(connection):
        price = one(connection.execute("SELECT price_cents FROM shows WHERE id = %s", [show_id]))
        try:
            number = one(connection.execute(
                "INSERT INTO bookings (show_id, seat, user_name, price_cents)"
                " VALUES (%s, %s, %s, %s) RETURNING id",
                [show_id, order.seat, order.user, price],
            ))
        except psycopg.errors.UniqueViolation:
            raise Refusal(409, "seat_taken") from None
        balance = one(connection.execute(
            "SELECT balance_cents FROM wallets WHERE user_name = %s FOR UPDATE", [order.user]
        ))
        if balance < price:
            raise Refusal(402, "no_funds")
        connection.execute(
            "UPDATE wallets SET balance_cents = %s WHERE user_name = %s",
            [balance - price, order.user],
        )
        return {"id": str(number), "show_id": show_id, "seat": order.seat, "user": order.user,
                "price_cents": price}

    return await in_transaction(purchase)


@app.get("/api/wallets/{user:path}")
async def wallet(user: str):
    statement = "SELECT balance_cents FROM wallets WHERE user_name = %s"
    return {"balance_cents": await in_time(lambda: look(statement, [user]))}


@app.post("/api/wallets/{user:path}/topup")
async def top_up(user: str, amount: TopUp):
    statement = (
        "UPDATE wallets SET balance_cents = balance_cents + %s WHERE user_name = %s"
        " RETURNING balance_cents"
    )
    values = [amount.cents, user]
    return {"balance_cents": await in_transaction(lambda c: one(c.execute(statement, values)))}


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")))
