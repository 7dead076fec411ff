package main

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

type volumeResource struct{ configured }

func (*volumeResource) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "dockerlite_volume"
}

func (*volumeResource) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	answer.Schema = namedSchema("A volume: data that outlives the containers that use it.")
}

func (v *volumeResource) Create(ctx context.Context, given resource.CreateRequest, answer *resource.CreateResponse) {
	var planned named
	if answer.Diagnostics.Append(given.Plan.Get(ctx, &planned)...); answer.Diagnostics.HasError() {
		return
	}
	name := planned.Name.ValueString()
	// The engine would hand out the volume that is there, with the data of somebody else.
	err := v.engine.requireFree(ctx, "volume", name, "volumes", name)
	if err == nil {
		err = v.engine.post(ctx, map[string]any{"Name": name}, nil, nil, "volumes", "create")
	}
	if err != nil {
		answer.Diagnostics.AddError("The volume "+name+" was not created", err.Error())
		return
	}
	planned.ID = planned.Name
	answer.Diagnostics.Append(answer.State.Set(ctx, planned)...)
}

func (v *volumeResource) Read(ctx context.Context, given resource.ReadRequest, answer *resource.ReadResponse) {
	var known named
	if answer.Diagnostics.Append(given.State.Get(ctx, &known)...); answer.Diagnostics.HasError() {
		return
	}
	switch err := v.engine.get(ctx, nil, "volumes", known.ID.ValueString()); {
	case errors.Is(err, errNotFound):
		answer.State.RemoveResource(ctx)
	case err != nil:
		answer.Diagnostics.AddError("The volume was not read", err.Error())
	default:
		answer.Diagnostics.Append(answer.State.Set(ctx, named{ID: known.ID, Name: known.ID})...)
	}
}

// Update is never called: another name is another volume.
func (*volumeResource) Update(context.Context, resource.UpdateRequest, *resource.UpdateResponse) {}

func (v *volumeResource) Delete(ctx context.Context, given resource.DeleteRequest, answer *resource.DeleteResponse) {
	var known named
	if answer.Diagnostics.Append(given.State.Get(ctx, &known)...); answer.Diagnostics.HasError() {
		return
	}
	if err := v.engine.remove(ctx, nil, "volumes", known.ID.ValueString()); err != nil {
		answer.Diagnostics.AddError("The volume "+known.Name.ValueString()+" was not removed", err.Error())
	}
}

func (*volumeResource) ImportState(ctx context.Context, given resource.ImportStateRequest, answer *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), given, answer)
}
