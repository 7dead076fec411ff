package main

import (
	"context"
	"sync"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/cobra"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// policiesCommand gives the firewall of kube-router without its routes and its proxy: it writes NetworkPolicies as
// rules of iptables and sets of ipset.
func policiesCommand() *cobra.Command {
	var kubeconfig string
	settings := options.NewKubeRouterConfig()
	settings.EnableIPv4 = true
	command := &cobra.Command{
		Use: "policies",
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			return enforce(command.Context(), client, settings)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "of who may list pods, namespaces and policies")
	command.Flags().StringVar(&settings.HostnameOverride, "hostname-override", "", "the name of this node")
	command.Flags().StringSliceVar(&settings.ClusterIPCIDRs, "service-cluster-ip-range", nil, "the addresses of Services")
	return command
}

func enforce(ctx context.Context, client kubernetes.Interface, settings *options.KubeRouterConfig) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	// Each pod that comes or goes costs a look at all rules: nothing of it is paid before there is a policy.
	if err := waitForOne(ctx, factory, policies); err != nil {
		return err
	}
	pods, namespaces := factory.Core().V1().Pods().Informer(), factory.Core().V1().Namespaces().Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	tables, sets, err := netpol.NewIPTablesHandlers(settings)
	if err != nil {
		return err
	}
	firewall, err := netpol.NewNetworkPolicyController(client, settings, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	if err != nil {
		return err
	}
	// Nor after the last one is gone: what is left lets everything through.
	needed := func(any) bool { return len(policies.GetStore().ListKeys()) > 0 }
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		policies:   firewall.NetworkPolicyEventHandler,
		pods:       cache.FilteringResourceEventHandler{FilterFunc: needed, Handler: firewall.PodEventHandler},
		namespaces: cache.FilteringResourceEventHandler{FilterFunc: needed, Handler: firewall.NamespaceEventHandler},
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	var running sync.WaitGroup
	running.Add(1)
	firewall.Run(unheard(), ctx.Done(), &running)
	running.Wait()
	return nil
}

// waitForOne waits until there is an object.
func waitForOne(ctx context.Context, factory informers.SharedInformerFactory, informer cache.SharedIndexInformer) error {
	found := make(chan struct{})
	var once sync.Once
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { once.Do(func() { close(found) }) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	select {
	case <-found:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// unheard gives where the firewall tells that it is alive; whoever ends it here sees that without words.
func unheard() chan<- *healthcheck.ControllerHeartbeat {
	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats {
		}
	}()
	return beats
}
