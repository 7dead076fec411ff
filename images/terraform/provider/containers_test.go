package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// anEngine answers each path with what is given, and everything else with 404.
func anEngine(t *testing.T, answers map[string]any) *engine {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		found, ok := answers[strings.TrimPrefix(r.URL.EscapedPath(), "/v1.41")]
		if !ok && r.URL.Path != "/_ping" {
			w.WriteHeader(http.StatusNotFound)
			found = map[string]string{"message": "no such thing"}
		}
		_ = json.NewEncoder(w).Encode(found)
	}))
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return newEngine(socket)
}

func TestReadsWhatTheConfigurationSaysAndNotWhatTheImageSays(t *testing.T) {
	engine := anEngine(t, map[string]any{
		"/containers/c1/json": map[string]any{
			"Id": "c1", "Name": "/lantern-web", "Image": "sha256:1", "State": map[string]any{"Running": false},
			"Config":     map[string]any{"Image": "web:1", "Env": []string{"BANNER=dev", "PATH=/bin", "VERSION=2"}},
			"HostConfig": map[string]any{"PortBindings": map[string]any{"3000/tcp": []any{map[string]string{}}}},
			"Mounts": []any{
				map[string]string{"Type": "volume", "Name": "data", "Destination": "/data"},
				map[string]string{"Type": "volume", "Name": strings.Repeat("a", 64), "Destination": "/cache"},
			},
			"NetworkSettings": map[string]any{"Networks": map[string]any{"lantern": nil}},
		},
		"/images/sha256:1/json": map[string]any{"Config": map[string]any{"Env": []string{"PATH=/bin", "VERSION=1", "BANNER=dev"}}},
	})
	known := containerState{ID: types.StringValue("c1"), Env: map[string]string{"BANNER": "dev"}}

	seen, err := engine.readContainer(context.Background(), known)

	if err != nil {
		t.Fatal(err)
	}
	if wanted := map[string]string{"BANNER": "dev", "VERSION": "2"}; !reflect.DeepEqual(seen.Env, wanted) {
		t.Errorf("env is %v, not %v", seen.Env, wanted)
	}
	if wanted := map[string]string{"/data": "data"}; !reflect.DeepEqual(seen.Volumes, wanted) {
		t.Errorf("volumes are %v, not %v", seen.Volumes, wanted)
	}
	if seen.Name.ValueString() != "lantern-web" || seen.Port.ValueInt64() != 3000 || seen.Running.ValueBool() {
		t.Errorf("name, port or running is wrong: %v", seen)
	}
	if seen.Address != types.StringValue("") || seen.Labels != nil {
		t.Errorf("a stopped container without labels has %v and %v", seen.Address, seen.Labels)
	}
}

func TestSaysThatSomethingIsGone(t *testing.T) {
	_, err := anEngine(t, nil).readContainer(context.Background(), containerState{ID: types.StringValue("c1")})

	if !errors.Is(err, errNotFound) {
		t.Errorf("%v is not errNotFound", err)
	}
}

func TestTakesNothingThatItDidNotMake(t *testing.T) {
	engine := anEngine(t, map[string]any{"/volumes/data": map[string]string{"Name": "data"}})

	if err := engine.requireFree(context.Background(), "volume", "data", "volumes", "data"); err == nil {
		t.Error("a volume that is there was taken for free")
	}
	if err := engine.requireFree(context.Background(), "volume", "other", "volumes", "other"); err != nil {
		t.Error(err)
	}
}

func TestRefusesWhatUsesSomethingThatIsNotThere(t *testing.T) {
	planned := containerState{Name: types.StringValue("web"), Networks: []string{"lantern"}}

	_, err := anEngine(t, nil).createContainer(context.Background(), planned)

	if err == nil || !strings.Contains(err.Error(), "its network lantern") {
		t.Errorf("%v does not name the network", err)
	}
}

func TestPublishesAtThisMachineAlone(t *testing.T) {
	host := creation(containerState{Port: types.Int64Value(3000), Networks: []string{"lantern", "back"}})["HostConfig"].(map[string]any)

	wanted := map[string]any{"3000/tcp": []map[string]string{{"HostIp": "127.0.0.1", "HostPort": ""}}}
	if !reflect.DeepEqual(host["PortBindings"], wanted) || host["NetworkMode"] != "lantern" {
		t.Errorf("%v is not what was asked for", host)
	}
}

func TestANameNeverBecomesTwoPartsOfAPath(t *testing.T) {
	if got := pathOf("volumes", "../containers"); got != "/volumes/..%2Fcontainers" {
		t.Error(got)
	}
}
