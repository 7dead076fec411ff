package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

const (
	stopSeconds = "3"
	// A program that ends at once has done so by then; one that ends later is the next plan's affair.
	startsWithin = 300 * time.Millisecond
	pollEvery    = 50 * time.Millisecond
	madeLater    = " (Terraform makes first what the configuration refers to: use the resource's name, do not type it)"
)

// inspected is what the engine tells of a container, as far as anybody asks.
type inspected struct {
	ID     string `json:"Id"`
	Name   string
	Image  string
	State  struct{ Running bool }
	Config struct {
		Image  string
		Cmd    []string
		Env    []string
		Labels map[string]string
	}
	HostConfig struct {
		PortBindings map[string][]any
	}
	Mounts []struct {
		Type, Name, Destination string
	}
	NetworkSettings struct {
		Networks map[string]any
		Ports    map[string][]struct{ HostIP, HostPort string }
	}
}

// createContainer makes a container that does not run yet, in all of its networks.
func (e *engine) createContainer(ctx context.Context, planned containerState) (string, error) {
	name := planned.Name.ValueString()
	if err := e.requireFree(ctx, "container", name, "containers", name, "json"); err != nil {
		return "", err
	}
	if err := e.requireParts(ctx, planned); err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"Id"`
	}
	query := url.Values{"name": {name}}
	if err := e.post(ctx, creation(planned), &made, query, "containers", "create"); err != nil {
		return "", err
	}
	for _, network := range planned.Networks[min(1, len(planned.Networks)):] {
		if err := e.post(ctx, map[string]any{"Container": made.ID}, nil, nil, "networks", network, "connect"); err != nil {
			_ = e.removeContainer(ctx, made.ID)
			return "", err
		}
	}
	return made.ID, nil
}

// requireParts looks for what the container uses. The engine would make up a volume, which no state knows of.
func (e *engine) requireParts(ctx context.Context, planned containerState) error {
	for _, network := range planned.Networks {
		if err := e.get(ctx, nil, "networks", network); err != nil {
			return fmt.Errorf("its network %s: %w%s", network, err, madeLater)
		}
	}
	for _, volume := range planned.Volumes {
		if err := e.get(ctx, nil, "volumes", volume); err != nil {
			return fmt.Errorf("its volume %s: %w%s", volume, err, madeLater)
		}
	}
	return nil
}

func creation(planned containerState) map[string]any {
	env := []string{}
	for key, value := range planned.Env {
		env = append(env, key+"="+value)
	}
	binds := []string{}
	for folder, volume := range planned.Volumes {
		binds = append(binds, volume+":"+folder)
	}
	// A program that has not learnt to be process 1 would not hear that it is stopped.
	host := map[string]any{"Binds": binds, "Init": true}
	body := map[string]any{"Image": planned.Image.ValueString(), "Env": env, "Labels": planned.Labels, "HostConfig": host}
	if planned.Command != nil {
		body["Cmd"] = planned.Command
	}
	if len(planned.Networks) > 0 {
		host["NetworkMode"] = planned.Networks[0]
	}
	if !planned.Port.IsNull() {
		port := fmt.Sprintf("%d/tcp", planned.Port.ValueInt64())
		body["ExposedPorts"] = map[string]any{port: struct{}{}}
		host["PortBindings"] = map[string]any{port: []map[string]string{{"HostIp": "127.0.0.1", "HostPort": ""}}}
	}
	return body
}

// settle starts or stops a container, as planned, and returns what has become of it.
func (e *engine) settle(ctx context.Context, planned containerState) (containerState, error) {
	id := planned.ID.ValueString()
	var err error
	if planned.Running.ValueBool() {
		err = e.post(ctx, nil, nil, nil, "containers", id, "start")
	} else {
		err = e.post(ctx, nil, nil, url.Values{"t": {stopSeconds}}, "containers", id, "stop")
	}
	if err != nil {
		return planned, err
	}
	for deadline := time.Now().Add(startsWithin); ; time.Sleep(pollEvery) {
		var found inspected
		if err := e.get(ctx, &found, "containers", id, "json"); err != nil {
			return planned, err
		}
		planned.Address = addressOf(found, planned.Port)
		if found.State.Running != planned.Running.ValueBool() {
			return planned, fmt.Errorf("its program has ended; docker logs %s tells why", planned.Name.ValueString())
		}
		if !planned.Running.ValueBool() || time.Now().After(deadline) {
			return planned, nil
		}
	}
}

// readContainer returns a container as it is now. What the image sets is not the configuration's.
func (e *engine) readContainer(ctx context.Context, known containerState) (containerState, error) {
	var found inspected
	if err := e.get(ctx, &found, "containers", known.ID.ValueString(), "json"); err != nil {
		return known, err
	}
	var image inspected
	// An image that is gone meanwhile has set nothing that anybody could still look up.
	_ = e.get(ctx, &image, "images", found.Image, "json")
	seen := containerState{
		ID:       types.StringValue(found.ID),
		Name:     types.StringValue(strings.TrimPrefix(found.Name, "/")),
		Image:    types.StringValue(found.Config.Image),
		Env:      without(texts(found.Config.Env), texts(image.Config.Env), known.Env),
		Labels:   without(found.Config.Labels, image.Config.Labels, known.Labels),
		Networks: networksOf(found, known.Networks),
		Volumes:  volumesOf(found, known.Volumes),
		Port:     portOf(found, known.Port),
		Running:  types.BoolValue(found.State.Running),
		Command:  known.Command,
	}
	if known.Name.IsNull() && !slices.Equal(found.Config.Cmd, image.Config.Cmd) {
		seen.Command = found.Config.Cmd
	}
	seen.Address = addressOf(found, seen.Port)
	return seen, nil
}

func (e *engine) removeContainer(ctx context.Context, id string) error {
	// What does not stop is removed all the same.
	_ = e.post(ctx, nil, nil, url.Values{"t": {stopSeconds}}, "containers", id, "stop")
	return e.remove(ctx, url.Values{"force": {"true"}, "v": {"true"}}, "containers", id)
}

func texts(pairs []string) map[string]string {
	found := map[string]string{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		found[key] = value
	}
	return found
}

// without returns what differs from the image's own, and whatever the state names; nil if that names nothing.
func without(found, ofImage, known map[string]string) map[string]string {
	kept := map[string]string{}
	for key, value := range found {
		_, isKnown := known[key]
		if same, ok := ofImage[key]; isKnown || !ok || same != value {
			kept[key] = value
		}
	}
	if len(kept) == 0 && known == nil {
		return nil
	}
	return kept
}

func networksOf(found inspected, known []string) []string {
	names := []string{}
	for name := range found.NetworkSettings.Networks {
		names = append(names, name)
	}
	if known == nil && slices.Equal(names, []string{"bridge"}) {
		return nil
	}
	return names
}

func volumesOf(found inspected, known map[string]string) map[string]string {
	volumes := map[string]string{}
	for _, mount := range found.Mounts {
		// A name that the engine has made up belongs to a VOLUME of the image.
		_, isKnown := known[mount.Destination]
		if mount.Type == "volume" && (isKnown || len(mount.Name) != 64) {
			volumes[mount.Destination] = mount.Name
		}
	}
	if len(volumes) == 0 && known == nil {
		return nil
	}
	return volumes
}

func portOf(found inspected, known types.Int64) types.Int64 {
	for port := range found.HostConfig.PortBindings {
		var number int64
		if _, err := fmt.Sscanf(port, "%d/tcp", &number); err == nil {
			return types.Int64Value(number)
		}
	}
	return known
}

// addressOf returns where a port is published, as host:port; empty while the container does not run.
func addressOf(found inspected, port types.Int64) types.String {
	if port.IsNull() {
		return types.StringNull()
	}
	for _, place := range found.NetworkSettings.Ports[fmt.Sprintf("%d/tcp", port.ValueInt64())] {
		return types.StringValue(place.HostIP + ":" + place.HostPort)
	}
	return types.StringValue("")
}
