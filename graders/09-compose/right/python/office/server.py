# The box office in Python: FastAPI, and a connection for each request.
import os
import uuid
from pathlib import Path

import psycopg
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from psycopg.rows import dict_row
from pydantic import BaseModel

INSTANCE = uuid.uuid4().hex
PASSWORD = Path(os.environ["DB_PASSWORD_FILE"]).read_text().strip()


class Order(BaseModel):
    seat: str
    user: str


def connect():
    return psycopg.connect(
        host="db", user="lantern", dbname="lantern", password=PASSWORD, row_factory=dict_row
    )


app = FastAPI()


@app.get("/ready")
def ready():
    with connect() as connection:
        connection.execute("SELECT 1")
    return {}


@app.get("/api/instance")
def instance():
    return {"instance": INSTANCE, "language": "Python"}


@app.get("/api/shows")
def shows():
    with connect() as connection:
        return {"shows": connection.execute("SELECT * FROM shows ORDER BY id").fetchall()}


@app.post("/api/shows/{show}/bookings", status_code=201)
def book(show: int, order: Order):
    insert = (
        "INSERT INTO bookings (show_id, seat, user_name) VALUES (%s, %s, %s)"
        " RETURNING show_id, seat, user_name AS user"
    )
    try:
        with connect() as connection:
            return connection.execute(insert, (show, order.seat, order.user)).fetchone()
    except psycopg.errors.UniqueViolation:
        return JSONResponse({"error": "seat_taken"}, 409)


@app.get("/api/shows/{show}/bookings")
def bookings(show: int):
    select = "SELECT seat, user_name AS user, show_id FROM bookings WHERE show_id = %s"
    with connect() as connection:
        return {"bookings": connection.execute(select, (show,)).fetchall()}


uvicorn.run(app, host="0.0.0.0", port=3000, log_level="warning")
