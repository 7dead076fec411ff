package main

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type networkResource struct{ configured }

// named is the state of what has nothing but a name: a network, a volume.
type named struct {
	ID   types.String `tfsdk:"id"`
	Name types.String `tfsdk:"name"`
}

func (*networkResource) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "dockerlite_network"
}

func (*networkResource) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	answer.Schema = namedSchema("A network in which containers reach each other by their names.")
}

func namedSchema(description string) schema.Schema {
	return schema.Schema{Description: description, Attributes: map[string]schema.Attribute{
		"id":   computedID(),
		"name": nameAttribute(),
	}}
}

func computedID() schema.StringAttribute {
	return schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}}
}

func nameAttribute() schema.StringAttribute {
	return schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}}
}

func (n *networkResource) Create(ctx context.Context, given resource.CreateRequest, answer *resource.CreateResponse) {
	var planned named
	if answer.Diagnostics.Append(given.Plan.Get(ctx, &planned)...); answer.Diagnostics.HasError() {
		return
	}
	name := planned.Name.ValueString()
	var made struct {
		ID string `json:"Id"`
	}
	err := n.engine.requireFree(ctx, "network", name, "networks", name)
	if err == nil {
		err = n.engine.post(ctx, map[string]any{"Name": name, "CheckDuplicate": true}, &made, nil, "networks", "create")
	}
	if err != nil {
		answer.Diagnostics.AddError("The network "+name+" was not created", err.Error())
		return
	}
	planned.ID = types.StringValue(made.ID)
	answer.Diagnostics.Append(answer.State.Set(ctx, planned)...)
}

func (n *networkResource) Read(ctx context.Context, given resource.ReadRequest, answer *resource.ReadResponse) {
	var known named
	if answer.Diagnostics.Append(given.State.Get(ctx, &known)...); answer.Diagnostics.HasError() {
		return
	}
	var found struct {
		ID   string `json:"Id"`
		Name string
	}
	switch err := n.engine.get(ctx, &found, "networks", known.ID.ValueString()); {
	case errors.Is(err, errNotFound):
		answer.State.RemoveResource(ctx)
	case err != nil:
		answer.Diagnostics.AddError("The network was not read", err.Error())
	default:
		seen := named{ID: types.StringValue(found.ID), Name: types.StringValue(found.Name)}
		answer.Diagnostics.Append(answer.State.Set(ctx, seen)...)
	}
}

// Update is never called: another name is another network.
func (*networkResource) Update(context.Context, resource.UpdateRequest, *resource.UpdateResponse) {}

func (n *networkResource) Delete(ctx context.Context, given resource.DeleteRequest, answer *resource.DeleteResponse) {
	var known named
	if answer.Diagnostics.Append(given.State.Get(ctx, &known)...); answer.Diagnostics.HasError() {
		return
	}
	if err := n.engine.remove(ctx, nil, "networks", known.ID.ValueString()); err != nil {
		answer.Diagnostics.AddError("The network "+known.Name.ValueString()+" was not removed", err.Error())
	}
}

func (*networkResource) ImportState(ctx context.Context, given resource.ImportStateRequest, answer *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), given, answer)
}
