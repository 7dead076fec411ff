package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// folders makes each claim a folder of the node, and removes it with the volume.
type folders struct{ root string }

func (f folders) Provision(_ context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	if len(options.PVC.Spec.AccessModes) == 0 {
		return nil, controller.ProvisioningFinished, errors.New("the claim names no access mode")
	}
	path := filepath.Join(f.root, options.PVName)
	// Pods run as any user: the folder is theirs, and no other pod sees it.
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("no folder for the volume: %w", err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("no folder for the volume: %w", err)
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity: core.ResourceList{
				core.ResourceStorage: options.PVC.Spec.Resources.Requests[core.ResourceStorage],
			},
			PersistentVolumeSource: core.PersistentVolumeSource{
				HostPath: &core.HostPathVolumeSource{Path: path},
			},
		},
	}, controller.ProvisioningFinished, nil
}

func (f folders) Delete(_ context.Context, volume *core.PersistentVolume) error {
	path := volume.Spec.HostPath.Path
	if filepath.Dir(path) != f.root {
		return fmt.Errorf("%s is no folder of %s", path, f.root)
	}
	return os.RemoveAll(path)
}

// volumesCommand gives the provisioner of the storage class `local`, on the library that Kubernetes
// keeps for such: https://github.com/kubernetes-sigs/sig-storage-lib-external-provisioner
func volumesCommand() *cobra.Command {
	var kubeconfig, root string
	command := &cobra.Command{
		Use: "volumes",
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			config.QPS, config.Burst = 50, 100
			return provision(command.Context(), config, root)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "of who may make volumes")
	command.Flags().StringVar(&root, "root", "/var/lib/volumes", "the folder of all volumes")
	return command
}

func provision(ctx context.Context, config *rest.Config, root string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	controller.NewProvisionController(
		ctx, client, "course/local", folders{root}, controller.LeaderElection(false),
	).Run(ctx)
	return nil
}
