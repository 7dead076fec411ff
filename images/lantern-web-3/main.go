// lantern is the box office of module 32: `lantern web` serves it, `lantern report` reads its settings from the API.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	startTakes   = time.Second
	pingWithin   = 500 * time.Millisecond
	finishWithin = 2 * time.Second
	burns        = 50 * time.Millisecond
	account      = "/var/run/secrets/kubernetes.io/serviceaccount/"
	// Linux' getrusage(2) for the calling thread alone.
	rusageThread = 1
)

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "web":
		serve()
	case len(os.Args) == 2 && os.Args[1] == "report":
		report()
	default:
		log.Fatal("usage: lantern web|report")
	}
}

// --- the server ---------------------------------------------------------------------------------

func serve() {
	database, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatalf("DATABASE_URL is no address of a database: %v", err)
	}
	// Caches to fill, code to compile: a larger program needs that long, too.
	time.Sleep(startTakes)
	stuck := &hang{}
	server := &http.Server{Addr: ":3000", Handler: stuck.guard(routes(database, stuck)), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		log.Print("SIGTERM: the door is closed")
		ctx, cancel := context.WithTimeout(context.Background(), finishWithin)
		defer cancel()
		if stuck.begun.Load() || server.Shutdown(ctx) != nil {
			os.Exit(1)
		}
		close(ended)
	}()
	log.Print("Server running on port 3000")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-ended
}

func routes(database *pgxpool.Pool, stuck *hang) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"banner": os.Getenv("BANNER"), "stage": os.Getenv("STAGE"), "version": os.Getenv("VERSION"), "pod": pod(),
		})
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pingWithin)
		defer cancel()
		switch {
		case os.Getenv("NEVER_READY") != "":
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "the release is broken"})
		case database.Ping(ctx) != nil:
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "the database is away"})
		default:
			answer(w, http.StatusOK, map[string]any{"status": "ready"})
		}
	})
	mux.HandleFunc("GET /burn", func(w http.ResponseWriter, _ *http.Request) {
		burn()
		answer(w, http.StatusOK, map[string]any{"pod": pod()})
	})
	mux.HandleFunc("POST /hang", func(w http.ResponseWriter, _ *http.Request) {
		stuck.begun.Store(true)
		answer(w, http.StatusAccepted, map[string]any{"pod": pod()})
	})
	return mux
}

func pod() string {
	name, _ := os.Hostname()
	return name
}

// burn uses up 50 ms of a processor, however many others want it meanwhile.
func burn() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for begun := used(); used()-begun < burns; {
		for i := 0; i < 100_000; i++ {
			runtime.KeepAlive(i * i)
		}
	}
}

func used() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(rusageThread, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// hang is what a deadlock does to a server: the door is open, and no request is answered any more.
type hang struct{ begun atomic.Bool }

func (h *hang) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.begun.Load() {
			select {}
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, code int, value map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// --- the report ---------------------------------------------------------------------------------

// report asks the API server as any program may: with the token, the authority and the namespace that its pod was given.
func report() {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		log.Fatalf("no token, so the API server would not know who asks: %v", err)
	}
	namespace, err := os.ReadFile(account + "namespace")
	if err != nil {
		log.Fatal(err)
	}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	address := fmt.Sprintf("https://%s/api/v1/namespaces/%s/configmaps/web-config", server, namespace)
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	reply, err := trusting().Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer reply.Body.Close()
	var found struct {
		Message string
		Data    map[string]string
	}
	if err := json.NewDecoder(io.LimitReader(reply.Body, 1<<20)).Decode(&found); err != nil {
		log.Fatal(err)
	}
	if reply.StatusCode != http.StatusOK {
		log.Fatalf("the API server refuses: %s", found.Message)
	}
	log.Printf("banner: %s", found.Data["banner"])
	log.Printf("stage: %s", found.Data["stage"])
}

// trusting gives a client that trusts the cluster's own authority and no other.
func trusting() *http.Client {
	authorities := x509.NewCertPool()
	if certificate, err := os.ReadFile(account + "ca.crt"); err == nil {
		authorities.AppendCertsFromPEM(certificate)
	}
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}},
	}
}
