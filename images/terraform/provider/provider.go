package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

type dockerlite struct{}

func newProvider() provider.Provider { return dockerlite{} }

func (dockerlite) Metadata(_ context.Context, _ provider.MetadataRequest, answer *provider.MetadataResponse) {
	answer.TypeName = "dockerlite"
}

func (dockerlite) Schema(_ context.Context, _ provider.SchemaRequest, answer *provider.SchemaResponse) {
	answer.Schema = schema.Schema{Description: "Networks, volumes and containers of a Docker engine."}
}

func (dockerlite) Configure(_ context.Context, _ provider.ConfigureRequest, answer *provider.ConfigureResponse) {
	engine := newEngine(socketPath)
	answer.ResourceData, answer.DataSourceData = engine, engine
}

func (dockerlite) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &networkResource{} },
		func() resource.Resource { return &volumeResource{} },
		func() resource.Resource { return &containerResource{} },
	}
}

func (dockerlite) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{func() datasource.DataSource { return &imageDataSource{} }}
}

// configured is what each resource embeds: the engine that the provider hands out.
type configured struct{ engine *engine }

func (c *configured) Configure(_ context.Context, given resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	// Terraform calls this once before the provider itself is configured.
	if found, ok := given.ProviderData.(*engine); ok {
		c.engine = found
	}
}
