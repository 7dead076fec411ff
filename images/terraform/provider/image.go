package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type imageDataSource struct{ engine *engine }

func (*imageDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, answer *datasource.MetadataResponse) {
	answer.TypeName = "dockerlite_image"
}

func (*imageDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, answer *datasource.SchemaResponse) {
	answer.Schema = schema.Schema{
		Description: "An image that the engine has. Its id changes when the name moves on to another image.",
		Attributes: map[string]schema.Attribute{
			"id":   schema.StringAttribute{Computed: true},
			"name": schema.StringAttribute{Required: true},
		},
	}
}

func (i *imageDataSource) Configure(_ context.Context, given datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if found, ok := given.ProviderData.(*engine); ok {
		i.engine = found
	}
}

func (i *imageDataSource) Read(ctx context.Context, given datasource.ReadRequest, answer *datasource.ReadResponse) {
	var asked named
	if answer.Diagnostics.Append(given.Config.Get(ctx, &asked)...); answer.Diagnostics.HasError() {
		return
	}
	var found struct {
		ID string `json:"Id"`
	}
	if err := i.engine.get(ctx, &found, "images", asked.Name.ValueString(), "json"); err != nil {
		answer.Diagnostics.AddError("There is no image "+asked.Name.ValueString()+" in this engine", err.Error())
		return
	}
	asked.ID = types.StringValue(found.ID)
	answer.Diagnostics.Append(answer.State.Set(ctx, asked)...)
}
