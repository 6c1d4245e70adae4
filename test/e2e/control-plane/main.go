// Command control-plane is a whole Kubernetes control plane in one binary.
//
// The first argument says what to be (etcd, kube-apiserver, kube-scheduler,
// kube-controller-manager, kubectl); a link with one of these names works too.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	_ "time/tzdata" // for time zones in CronJobs

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

var commands = map[string]func() *cobra.Command{
	"etcd":                    newEtcdCommand,
	"kube-apiserver":          func() *cobra.Command { return apiserver.NewAPIServerCommand() },
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	if commands[name] == nil && name != "kubectl" && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = slices.Delete(os.Args, 1, 2)
		os.Args[0] = name
	}
	if name == "kubectl" {
		runKubectl()
		return
	}
	newCommand, known := commands[name]
	if !known {
		fmt.Fprintln(os.Stderr, "usage: control-plane etcd | kube-apiserver | kube-scheduler | kube-controller-manager | kubectl [flags]")
		os.Exit(2)
	}
	if os.Getenv("ANYLET_EXIT_WITH_PARENT") == "1" {
		go exitWithParent()
	}
	os.Exit(cli.Run(newCommand()))
}

// runKubectl does what Kubernetes' own cmd/kubectl does.
func runKubectl() {
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

// exitWithParent ends the process when its standard input does: the parent
// holds the other end of that pipe, and the kernel closes it however it dies.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
