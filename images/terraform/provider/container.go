package main

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type containerResource struct{ configured }

// containerState is a container as the state file has it.
type containerState struct {
	ID       types.String      `tfsdk:"id"`
	Name     types.String      `tfsdk:"name"`
	Image    types.String      `tfsdk:"image"`
	Command  []string          `tfsdk:"command"`
	Env      map[string]string `tfsdk:"env"`
	Labels   map[string]string `tfsdk:"labels"`
	Networks []string          `tfsdk:"networks"`
	Volumes  map[string]string `tfsdk:"volumes"`
	Port     types.Int64       `tfsdk:"port"`
	Running  types.Bool        `tfsdk:"running"`
	Address  types.String      `tfsdk:"address"`
}

func (*containerResource) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "dockerlite_container"
}

func (*containerResource) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	texts := schema.MapAttribute{
		Optional: true, ElementType: types.StringType,
		PlanModifiers: []planmodifier.Map{mapplanmodifier.RequiresReplace()},
	}
	answer.Schema = schema.Schema{
		Description: "A container. What it runs cannot be changed: another image or variable is another container.",
		Attributes: map[string]schema.Attribute{
			"id":     computedID(),
			"name":   nameAttribute(),
			"image":  nameAttribute(),
			"env":    texts,
			"labels": texts,
			// Names of volumes, by the folder in which each is mounted.
			"volumes": texts,
			"command": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				PlanModifiers: []planmodifier.List{listplanmodifier.RequiresReplace()},
			},
			"networks": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				PlanModifiers: []planmodifier.Set{setplanmodifier.RequiresReplace()},
			},
			// Of the container; it is published at a free port of 127.0.0.1, which address tells.
			"port": schema.Int64Attribute{
				Optional: true, PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
			},
			"running": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(true)},
			"address": schema.StringAttribute{Computed: true},
		},
	}
}

// ModifyPlan keeps the address of a container that is left as it is: each start publishes another one.
func (*containerResource) ModifyPlan(ctx context.Context, given resource.ModifyPlanRequest, answer *resource.ModifyPlanResponse) {
	if given.State.Raw.IsNull() || given.Plan.Raw.IsNull() || len(answer.RequiresReplace) > 0 {
		return
	}
	var known, planned containerState
	answer.Diagnostics.Append(given.State.Get(ctx, &known)...)
	answer.Diagnostics.Append(given.Plan.GetAttribute(ctx, path.Root("running"), &planned.Running)...)
	if known.Running.Equal(planned.Running) {
		answer.Diagnostics.Append(answer.Plan.SetAttribute(ctx, path.Root("address"), known.Address)...)
	}
}

func (c *containerResource) Create(ctx context.Context, given resource.CreateRequest, answer *resource.CreateResponse) {
	var planned containerState
	if answer.Diagnostics.Append(given.Plan.Get(ctx, &planned)...); answer.Diagnostics.HasError() {
		return
	}
	id, err := c.engine.createContainer(ctx, planned)
	if err != nil {
		answer.Diagnostics.AddError("The container "+planned.Name.ValueString()+" was not created", err.Error())
		return
	}
	planned.ID, planned.Address = types.StringValue(id), types.StringNull()
	// It is there already: if it does not start, the state knows of it.
	answer.Diagnostics.Append(answer.State.Set(ctx, planned)...)
	if planned, err = c.engine.settle(ctx, planned); err != nil {
		answer.Diagnostics.AddError("The container "+planned.Name.ValueString()+" did not start", err.Error())
		return
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, planned)...)
}

func (c *containerResource) Read(ctx context.Context, given resource.ReadRequest, answer *resource.ReadResponse) {
	var known containerState
	if answer.Diagnostics.Append(given.State.Get(ctx, &known)...); answer.Diagnostics.HasError() {
		return
	}
	seen, err := c.engine.readContainer(ctx, known)
	switch {
	case errors.Is(err, errNotFound):
		answer.State.RemoveResource(ctx)
	case err != nil:
		answer.Diagnostics.AddError("The container was not read", err.Error())
	default:
		answer.Diagnostics.Append(answer.State.Set(ctx, seen)...)
	}
}

// Update starts or stops it: everything else would be another container.
func (c *containerResource) Update(ctx context.Context, given resource.UpdateRequest, answer *resource.UpdateResponse) {
	var planned containerState
	if answer.Diagnostics.Append(given.Plan.Get(ctx, &planned)...); answer.Diagnostics.HasError() {
		return
	}
	settled, err := c.engine.settle(ctx, planned)
	if err != nil {
		answer.Diagnostics.AddError("The container "+planned.Name.ValueString()+" was not updated", err.Error())
		return
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, settled)...)
}

func (c *containerResource) Delete(ctx context.Context, given resource.DeleteRequest, answer *resource.DeleteResponse) {
	var known containerState
	if answer.Diagnostics.Append(given.State.Get(ctx, &known)...); answer.Diagnostics.HasError() {
		return
	}
	if err := c.engine.removeContainer(ctx, known.ID.ValueString()); err != nil {
		answer.Diagnostics.AddError("The container "+known.Name.ValueString()+" was not removed", err.Error())
	}
}

func (*containerResource) ImportState(ctx context.Context, given resource.ImportStateRequest, answer *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), given, answer)
}
