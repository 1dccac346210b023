// push put|post|delete ADDRESS JOB INSTANCE, by the Go client.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

func main() {
	action, address, job, instance := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	value := prometheus.NewGauge(prometheus.GaugeOpts{Name: "pushed_value", Help: "Pushed by a client."})
	value.Set(1)
	scheme := "http"
	if os.Getenv("PUSH_CA") != "" {
		scheme = "https"
	}
	pusher := push.New(scheme+"://"+address, job).Grouping("instance", instance).Collector(value)
	if user := os.Getenv("PUSH_USER"); user != "" {
		pusher = pusher.BasicAuth(user, os.Getenv("PUSH_PASSWORD"))
	}

	actions := map[string]func() error{"put": pusher.Push, "post": pusher.Add, "delete": pusher.Delete}
	if err := actions[action](); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("nil")
}
