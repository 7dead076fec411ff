package main

import (
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apiserver/pkg/server"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"
)

// metricsCommand gives metrics-server with a resolution of our own: its flag allows ten seconds at
// the least, which spares large clusters and makes a learner with one node wait.
func metricsCommand() *cobra.Command {
	given := options.NewOptions()
	var resolution time.Duration
	command := &cobra.Command{
		Use: "metrics",
		RunE: func(*cobra.Command, []string) error {
			for _, wrong := range given.Validate() {
				return wrong
			}
			config, err := given.ServerConfig()
			if err != nil {
				return err
			}
			config.MetricResolution = resolution
			metrics, err := config.Complete()
			if err != nil {
				return err
			}
			return metrics.RunUntil(server.SetupSignalHandler())
		},
	}
	for _, part := range given.Flags().FlagSets {
		command.Flags().AddFlagSet(part)
	}
	command.Flags().DurationVar(&resolution, "resolution", 2*time.Second, "between two looks at the kubelet")
	return command
}
