package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
	"github.com/spf13/cobra"
	"github.com/traefik/paerser/types"
	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/middlewares/requestdecorator"
	muxer "github.com/traefik/traefik/v3/pkg/muxer/http"
	"github.com/traefik/traefik/v3/pkg/provider/kubernetes/ingress"
	"github.com/traefik/traefik/v3/pkg/safe"
	"github.com/traefik/traefik/v3/pkg/server/service/loadbalancer/wrr"
	traefiktls "github.com/traefik/traefik/v3/pkg/tls"
)

// gate is one address at which requests come in, and the routes that lead on from it.
type gate struct {
	name    string
	address string
	secure  bool
	routes  atomic.Pointer[muxer.Muxer]
}

// ingressCommand gives the Ingress controller of Traefik without what no Ingress of Kubernetes can ask for: its
// provider reads the Ingresses, its rules choose a route, its balancer spreads the requests. Middlewares are not in it.
func ingressCommand() *cobra.Command {
	plain, secure := &gate{name: "web"}, &gate{name: "websecure", secure: true}
	endpoint := &ingress.EndpointIngress{}
	command := &cobra.Command{
		Use: "ingress",
		RunE: func(command *cobra.Command, _ []string) error {
			// Each Ingress without its Service is told at each change, as a warning.
			log.Logger = zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger()
			return serve(command.Context(), endpoint, plain, secure)
		},
	}
	command.Flags().StringVar(&plain.address, "http", ":8080", "the address for HTTP")
	command.Flags().StringVar(&secure.address, "https", ":8443", "the address for HTTPS")
	command.Flags().StringVar(&endpoint.Hostname, "hostname", "localhost", "the name that Ingresses are told to have")
	return command
}

func serve(ctx context.Context, endpoint *ingress.EndpointIngress, gates ...*gate) error {
	provider := &ingress.Provider{
		IngressEndpoint:      endpoint,
		AllowEmptyServices:   true,
		StrictPrefixMatching: true,
		ThrottleDuration:     types.Duration(100 * time.Millisecond),
	}
	changes := make(chan dynamic.Message)
	if err := provider.Provide(changes, safe.NewPool(ctx)); err != nil {
		return err
	}
	certificates := traefiktls.NewManager(nil)
	ended := make(chan error)
	for started := false; ; {
		select {
		case change := <-changes:
			if err := apply(ctx, change.Configuration, certificates, gates); err != nil {
				return err
			}
			// Nobody is let in before the first routes are known.
			for _, gate := range gates {
				if !started {
					go func() { ended <- gate.open(certificates) }()
				}
			}
			started = true
		case err := <-ended:
			return err
		}
	}
}

// apply makes each gate lead where the Ingresses say.
func apply(ctx context.Context, wanted *dynamic.Configuration, certificates *traefiktls.Manager, gates []*gate) error {
	var pairs []*traefiktls.CertAndStores
	if wanted.TLS != nil {
		pairs = wanted.TLS.Certificates
	}
	options := map[string]traefiktls.Options{traefiktls.DefaultTLSConfigName: traefiktls.DefaultTLSOptions}
	certificates.UpdateConfigs(ctx, nil, options, pairs)
	services := map[string]http.Handler{}
	for name, service := range wanted.HTTP.Services {
		services[name] = spread(service.LoadBalancer)
	}
	parser, err := muxer.NewSyntaxParser()
	if err != nil {
		return err
	}
	for _, gate := range gates {
		routes := muxer.NewMuxer(parser)
		for name, router := range wanted.HTTP.Routers {
			if !gate.serves(router) {
				continue
			}
			if err := add(routes, router, services[router.Service]); err != nil {
				log.Error().Err(err).Str("router", name).Msg("Skipped")
			}
		}
		gate.routes.Store(routes)
	}
	return nil
}

// serves tells whether a router of an Ingress is reached here; annotations may name one gate, or ask for TLS.
func (g *gate) serves(router *dynamic.Router) bool {
	named := len(router.EntryPoints) == 0 || slices.Contains(router.EntryPoints, g.name)
	return named && (g.secure || router.TLS == nil)
}

func add(routes *muxer.Muxer, router *dynamic.Router, service http.Handler) error {
	if len(router.Middlewares) > 0 {
		return errors.New("it wants middlewares, and there are none here")
	}
	if service == nil {
		return fmt.Errorf("there is no service %s", router.Service)
	}
	priority := router.Priority
	if priority == 0 {
		priority = muxer.GetRulePriority(router.Rule)
	}
	return routes.AddRoute(router.Rule, router.RuleSyntax, priority, service)
}

// spread gives what sends each request to the next pod of a Service.
func spread(balanced *dynamic.ServersLoadBalancer) http.Handler {
	balancer := wrr.New(balanced.Sticky, false)
	for _, server := range balanced.Servers {
		target, err := url.Parse(server.URL)
		if err != nil {
			log.Error().Err(err).Str("server", server.URL).Msg("Skipped")
			continue
		}
		balancer.AddServer(server.URL, forward(target, balanced.PassHostHeader), server)
	}
	return balancer
}

func forward(target *url.URL, passHost *bool) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(target)
			request.SetXForwarded()
			if passHost == nil || *passHost {
				request.Out.Host = request.In.Host
			}
		},
		// What a server sends piece by piece goes on piece by piece.
		FlushInterval: -1,
	}
}

func (g *gate) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	requestdecorator.New(nil).ServeHTTP(writer, request, g.routes.Load().ServeHTTP)
}

func (g *gate) open(certificates *traefiktls.Manager) error {
	server := &http.Server{Addr: g.address, Handler: g, ReadHeaderTimeout: 10 * time.Second}
	if !g.secure {
		return server.ListenAndServe()
	}
	server.TLSConfig = &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return certificates.Get(traefiktls.DefaultTLSStoreName, traefiktls.DefaultTLSConfigName)
		},
	}
	return server.ListenAndServeTLS("", "")
}
