// lantern is the box office of the cluster modules: `lantern web` serves it, `lantern migrate` makes its tables.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	schema = `CREATE TABLE IF NOT EXISTS bookings (
		show_id integer NOT NULL, seat text NOT NULL, user_name text NOT NULL, PRIMARY KEY (show_id, seat))`
	themeFile     = "/etc/lantern/theme.json"
	migrateWithin = 60 * time.Second
	answerWithin  = 3 * time.Second
	// On a busy machine a first connection takes its time, and who gives up is started anew.
	startWithin      = 15 * time.Second
	uniqueViolation  = "23505"
	drainAfterSignal = 5 * time.Second
)

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	if len(os.Args) != 2 || (os.Args[1] != "web" && os.Args[1] != "migrate") {
		log.Fatal("usage: lantern web|migrate")
	}
	database, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatalf("DATABASE_URL is no address of a database: %v", err)
	}
	if os.Args[1] == "migrate" {
		migrate(database)
		return
	}
	serve(database)
}

// migrate waits for the database: who starts first is nobody's business in a cluster.
func migrate(database *pgxpool.Pool) {
	deadline := time.Now().Add(migrateWithin)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		_, err := database.Exec(ctx, schema)
		cancel()
		if err == nil {
			log.Print("the tables are there")
			return
		}
		if time.Now().After(deadline) {
			log.Fatalf("no tables after %s: %v", migrateWithin, err)
		}
		log.Printf("waiting: %v", err)
		time.Sleep(200 * time.Millisecond)
	}
}

func serve(database *pgxpool.Pool) {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	if _, err := database.Exec(ctx, "SELECT FROM bookings LIMIT 1"); err != nil {
		log.Fatalf("the database is away, or has no tables: %v", err)
	}
	server := &http.Server{Addr: ":3000", Handler: routes(database), ReadHeaderTimeout: answerWithin}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		// A pod that ends is taken out of its Service at the same time: what is on its way still comes.
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), drainAfterSignal)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	log.Print("Server running on port 3000")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func routes(database *pgxpool.Pool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		pod, _ := os.Hostname()
		answer(w, http.StatusOK, map[string]any{
			"banner": os.Getenv("BANNER"), "theme": theme(), "version": os.Getenv("VERSION"), "pod": pod,
		})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		if err := database.Ping(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "the database is away"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"status": "ready"})
	})
	mux.HandleFunc("GET /api/shows/{show}/bookings", func(w http.ResponseWriter, r *http.Request) { list(w, r, database) })
	mux.HandleFunc("POST /api/shows/{show}/bookings", func(w http.ResponseWriter, r *http.Request) { book(w, r, database) })
	return mux
}

// theme is read at each request: a mounted ConfigMap changes under a running server.
func theme() any {
	var found any
	if text, err := os.ReadFile(themeFile); err == nil && json.Unmarshal(text, &found) == nil {
		return found
	}
	return map[string]any{"colour": "grey"}
}

func list(w http.ResponseWriter, r *http.Request, database *pgxpool.Pool) {
	rows, err := database.Query(r.Context(), "SELECT seat FROM bookings WHERE show_id::text = $1 ORDER BY seat", r.PathValue("show"))
	if err != nil {
		answer(w, http.StatusServiceUnavailable, map[string]any{"error": "database_away"})
		return
	}
	defer rows.Close()
	seats := []string{}
	for rows.Next() {
		var seat string
		if rows.Scan(&seat) == nil {
			seats = append(seats, seat)
		}
	}
	answer(w, http.StatusOK, map[string]any{"seats": seats})
}

func book(w http.ResponseWriter, r *http.Request, database *pgxpool.Pool) {
	var order struct{ Seat, User string }
	body := http.MaxBytesReader(w, r.Body, 1<<16)
	if json.NewDecoder(body).Decode(&order) != nil || order.Seat == "" || order.User == "" {
		answer(w, http.StatusBadRequest, map[string]any{"error": "seat_and_user_required"})
		return
	}
	_, err := database.Exec(r.Context(), "INSERT INTO bookings VALUES ($1::text::integer, $2, $3)", r.PathValue("show"), order.Seat, order.User)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		answer(w, http.StatusCreated, map[string]any{"seat": order.Seat, "user": order.User})
	case errors.As(err, &refused) && refused.Code == uniqueViolation:
		answer(w, http.StatusConflict, map[string]any{"error": "seat_taken"})
	case errors.As(err, &refused):
		answer(w, http.StatusBadRequest, map[string]any{"error": refused.Message})
	default:
		answer(w, http.StatusServiceUnavailable, map[string]any{"error": "database_away"})
	}
}

func answer(w http.ResponseWriter, code int, value map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
