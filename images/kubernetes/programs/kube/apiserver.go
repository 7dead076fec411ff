package main

import (
	"context"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	logs "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// Each of these sleeps for a second and then makes objects, or looks whether somebody has changed them.
var makersOfFirstObjects = []string{"rbac/bootstrap-roles", "scheduling/bootstrap-system-priority-classes"}

// apiserverCommand gives kube-apiserver, which need not make the first objects of a cluster where etcd was filled with
// them while the image was built: nobody can ask it before that ends.
func apiserverCommand() *cobra.Command {
	given := options.NewServerRunOptions()
	var isFilled bool
	command := &cobra.Command{
		Use:          "apiserver",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := compatibility.DefaultComponentGlobalsRegistry.Set(); err != nil {
				return err
			}
			// Its requests to itself shall not warn of themselves.
			rest.SetDefaultWarningHandler(rest.NoWarnings{})
			if err := logs.ValidateAndApply(given.Logs, utilfeature.DefaultFeatureGate); err != nil {
				return err
			}
			ctx := server.SetupSignalContext()
			completed, err := given.Complete(ctx)
			if err != nil {
				return err
			}
			if wrong := completed.Validate(); len(wrong) != 0 {
				return utilerrors.NewAggregate(wrong)
			}
			utilfeature.DefaultMutableFeatureGate.AddMetrics()
			compatibility.DefaultComponentGlobalsRegistry.AddMetrics()
			return runAPIServer(ctx, completed, isFilled)
		},
	}
	for _, part := range given.Flags().FlagSets {
		command.Flags().AddFlagSet(part)
	}
	command.Flags().BoolVar(&isFilled, "etcd-is-filled", false, "the first objects of a cluster are there already")
	return command
}

// runAPIServer is what apiserver.Run does, where etcd is filled without those who make what is there.
func runAPIServer(ctx context.Context, given options.CompletedOptions, isFilled bool) error {
	config, err := apiserver.NewConfig(given)
	if err != nil {
		return err
	}
	if isFilled {
		config.KubeAPIs.ControlPlane.Generic.DisabledPostStartHooks.Insert(makersOfFirstObjects...)
	}
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	chain, err := apiserver.CreateServerChain(completed)
	if err != nil {
		return err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}
