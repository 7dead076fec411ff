"""Bookings: rows say what is to be done, and PostgreSQL's NOTIFY says when to look."""

import asyncio
import contextlib
import json
import os
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import nats
import psycopg
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from nats.js.api import ConsumerConfig
from psycopg_pool import AsyncConnectionPool

DATABASE_URL = os.environ["DATABASE_URL"]
PAYMENTS_URL = os.environ["PAYMENTS_URL"]
PATIENCE_S = int(os.environ.get("PAYMENTS_TIMEOUT_MS", "2000")) / 1000

pool = AsyncConnectionPool(
    DATABASE_URL, min_size=2, max_size=10, open=False, check=AsyncConnectionPool.check_connection
)
woken = {"tasks": asyncio.Event(), "unsent": asyncio.Event()}
running = set()
background = set()


async def listen():
    """Wake those who wait for new rows; after a lost session too, as some may have been missed."""
    session = await psycopg.AsyncConnection.connect(DATABASE_URL, autocommit=True)
    async with session:
        await session.execute("LISTEN work")
        for event in woken.values():
            event.set()
        async for note in session.notifies():
            woken[note.payload].set()


async def wait_for(table, seconds):
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(woken[table].wait(), seconds)
    woken[table].clear()


def ask(path, key, body):
    """Return the status of the company's answer; 0 for none."""
    request = urllib.request.Request(
        PAYMENTS_URL + path, json.dumps(body).encode(), method="POST",
        headers={"content-type": "application/json", "idempotency-key": key},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


async def do_tasks():
    await wait_for("tasks", 0.5)
    async with pool.connection() as session:
        rows = await (await session.execute(
            "SELECT kind, number, price_cents FROM tasks JOIN bookings ON number = booking"
        )).fetchall()
    for row in rows:
        if row[:2] not in running:
            running.add(row[:2])
            begin(do_task(*row))


async def do_task(kind, number, price):
    try:
        body = {"booking_id": f"B-{number}"}
        if kind == "charge":
            body["amount_cents"] = price
        status = await asyncio.to_thread(ask, f"/{kind}s", f"{kind}/{number}", body)
        done = {"charge": settle, "refund": close_refund}[kind]
        if status in (201, 402):
            async with pool.connection() as session:
                await done(session, number, status == 201)
        else:
            await asyncio.sleep(0.2)
    finally:
        running.discard((kind, number))
        woken["tasks"].set()


async def settle(session, number, paid):
    """Write what the company said, with all that follows from it."""
    gone = await session.execute(
        "DELETE FROM tasks WHERE kind = 'charge' AND booking = %s", (number,))
    if gone.rowcount == 0:
        return
    status = "confirmed" if paid else "cancelled"
    changed = await session.execute(
        "UPDATE bookings SET status = %s WHERE number = %s AND status = 'pending'", (status, number))
    if changed.rowcount:
        await session.execute(
            "INSERT INTO unsent (subject, booking) VALUES (%s, %s)", (f"booking.{status}", number))
    elif paid:
        await session.execute("INSERT INTO tasks VALUES ('refund', %s)", (number,))


async def close_refund(session, number, paid):
    if paid:
        await session.execute(
            "DELETE FROM tasks WHERE kind = 'refund' AND booking = %s", (number,))


async def send_events(stream):
    await wait_for("unsent", 0.5)
    async with pool.connection() as session:
        rows = await (await session.execute("SELECT * FROM unsent ORDER BY position")).fetchall()
        await session.commit()
        for position, event_id, subject, number in rows:
            body = {"event_id": str(event_id), "booking_id": f"B-{number}"}
            await stream.publish(
                subject, json.dumps(body).encode(), timeout=1,
                headers={"Nats-Msg-Id": str(event_id)},
            )
            await session.execute("DELETE FROM unsent WHERE position = %s", (position,))
            await session.commit()


async def receive(stream):
    subscription = await stream.pull_subscribe(
        "show.cancelled", durable="theatre", stream="LANTERN", config=ConsumerConfig(ack_wait=2))
    while True:
        try:
            messages = await subscription.fetch(20, timeout=0.5)
        except TimeoutError:
            continue
        for message in messages:
            event = json.loads(message.data)
            async with pool.connection() as session:
                await cancel(session, event["event_id"], event["show_id"])
            await message.ack()


async def cancel(session, event_id, show_id):
    new = await session.execute(
        "INSERT INTO handled VALUES (%s) ON CONFLICT DO NOTHING", (event_id,))
    if new.rowcount == 0:
        return
    rows = await (await session.execute(
        "SELECT number, status FROM bookings"
        " WHERE show_id = %s AND status <> 'cancelled' ORDER BY number FOR UPDATE", (show_id,)
    )).fetchall()
    for number, status in rows:
        await session.execute("UPDATE bookings SET status = 'cancelled' WHERE number = %s", (number,))
        await session.execute(
            "INSERT INTO unsent (subject, booking) VALUES ('booking.cancelled', %s)", (number,))
        if status == "confirmed":
            await session.execute("INSERT INTO tasks VALUES ('refund', %s)", (number,))


async def forever(job, *arguments):
    while True:
        try:
            await job(*arguments)
        except Exception as error:
            print(f"{job.__name__}: {error!r}")
            await asyncio.sleep(0.2)


def begin(coroutine):
    task = asyncio.create_task(coroutine)
    background.add(task)
    task.add_done_callback(background.discard)


async def use_broker():
    """Connect, however long that takes, and stay so."""
    async def quiet(_):
        pass

    broker = await nats.connect(
        os.environ["NATS_URL"], max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=quiet)
    stream = broker.jetstream()
    await asyncio.gather(forever(send_events, stream), forever(receive, stream))


@contextlib.asynccontextmanager
async def lifespan(_):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    await pool.open()
    for job in (listen, do_tasks, use_broker):
        begin(forever(job))
    yield
    os._exit(0)


app = FastAPI(lifespan=lifespan)


@app.post("/api/bookings", status_code=202)
async def book(order: dict):
    try:
        async with pool.connection() as session:
            row = await (await session.execute(
                "INSERT INTO bookings (show_id, seat, user_name, price_cents)"
                " SELECT id, %(seat)s, %(user)s, price_cents FROM shows WHERE id = %(show_id)s"
                " RETURNING number", order,
            )).fetchone()
            if row is None:
                return JSONResponse({"error": "not_found"}, 404)
            await session.execute("INSERT INTO tasks VALUES ('charge', %s)", row)
    except psycopg.errors.UniqueViolation:
        return JSONResponse({"error": "seat_taken"}, 409)
    return {"id": f"B-{row[0]}", "status": "pending", "seat": order["seat"]}


@app.get("/api/bookings/{booking_id}")
async def look(booking_id: str):
    match = re.fullmatch(r"B-(\d{1,15})", booking_id)
    async with pool.connection() as session:
        row = match and await (await session.execute(
            "SELECT status, seat FROM bookings WHERE number = %s", (int(match[1]),))).fetchone()
    if not row:
        return JSONResponse({"error": "not_found"}, 404)
    return {"seat": row[1], "status": row[0], "id": booking_id}


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
