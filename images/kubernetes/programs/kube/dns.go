package main

import (
	"os"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	"github.com/spf13/cobra"
)

// dnsCommand gives CoreDNS with the plugins that a cluster needs; it reads its flags itself.
func dnsCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "dns",
		DisableFlagParsing: true,
		Run: func(*cobra.Command, []string) {
			coremain.Run()
			os.Exit(0)
		},
	}
}
