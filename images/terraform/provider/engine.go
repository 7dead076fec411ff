package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
)

const socketPath = "/var/run/docker.sock"

// errNotFound is what the engine answers when there is no such thing.
var errNotFound = errors.New("not found")

// engine speaks to a Docker engine over its socket, in the newest version of the API that it knows.
type engine struct {
	client  *http.Client
	version func() (string, error)
}

func newEngine(socket string) *engine {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	made := &engine{client: &http.Client{Transport: &http.Transport{DialContext: dial}}}
	made.version = sync.OnceValues(made.ping)
	return made
}

func (e *engine) ping() (string, error) {
	answer, err := e.client.Get("http://docker/_ping")
	if err != nil {
		return "", fmt.Errorf("the Docker engine does not answer at %s: %w", socketPath, err)
	}
	defer answer.Body.Close()
	return answer.Header.Get("Api-Version"), nil
}

// call sends one request, and decodes the answer into result, if that is not nil.
func (e *engine) call(ctx context.Context, method, path string, query url.Values, body, result any) error {
	version, err := e.version()
	if err != nil {
		return err
	}
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("http://docker/v%s%s?%s", version, path, query.Encode())
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return refusal(answer)
	}
	if result == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(result)
}

func refusal(answer *http.Response) error {
	var said struct{ Message string }
	_ = json.NewDecoder(answer.Body).Decode(&said)
	if answer.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %s", errNotFound, said.Message)
	}
	return fmt.Errorf("the Docker engine answered %s: %s", answer.Status, said.Message)
}

func (e *engine) get(ctx context.Context, result any, path ...string) error {
	return e.call(ctx, http.MethodGet, pathOf(path...), nil, nil, result)
}

func (e *engine) post(ctx context.Context, body, result any, query url.Values, path ...string) error {
	return e.call(ctx, http.MethodPost, pathOf(path...), query, body, result)
}

// remove deletes something; that it is gone already is no failure.
func (e *engine) remove(ctx context.Context, query url.Values, path ...string) error {
	if err := e.call(ctx, http.MethodDelete, pathOf(path...), query, nil, nil); !errors.Is(err, errNotFound) {
		return err
	}
	return nil
}

// pathOf joins parts of a path; a name never becomes two parts.
func pathOf(parts ...string) string {
	path := ""
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// requireFree returns an error if the engine has something of this kind and name already.
func (e *engine) requireFree(ctx context.Context, kind string, name string, path ...string) error {
	err := e.get(ctx, nil, path...)
	if err == nil {
		return fmt.Errorf("there is a %s named %s already, which Terraform did not make: remove it, or import it", kind, name)
	}
	if errors.Is(err, errNotFound) {
		return nil
	}
	return err
}
