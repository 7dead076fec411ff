// dockerlite is a small Terraform provider: networks, volumes, containers and images of the Docker engine at the usual socket.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

const address = "lantern.local/course/dockerlite"

func main() {
	if err := providerserver.Serve(context.Background(), newProvider, providerserver.ServeOpts{Address: address}); err != nil {
		log.Fatal(err)
	}
}
