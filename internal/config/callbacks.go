package config

import (
	"fmt"
	"slices"
	"strings"

	"volley/internal/callback"
)

// Callbacks says how events are signed and where they may go.
func (c *Config) Callbacks() callback.Options {
	o := callback.Options{
		Tenants: map[string]callback.Tenant{}, AllowPrivate: c.AllowPrivateCallbacks, NAT64Prefixes: c.NAT64Prefixes,
		BirdChannels: map[string]string{}, SinchProjects: map[string]string{},
	}
	accounts := c.Accounts()
	for name, t := range c.Tenants {
		known := callback.Tenant{
			Secret: t.CallbackSecret.Reveal(), PreviousSecret: t.CallbackPreviousSecret.Reveal(), Events: t.CallbackEvents,
			SinchApps: map[string]string{},
		}
		for _, a := range accounts {
			if a.Provider == "sinch" && (t.Accounts == nil || slices.Contains(t.Accounts, a.Name)) {
				known.SinchApps[a.App] = a.Project
			}
		}
		if len(t.SinchProjects) > 0 {
			known.SinchProject = t.SinchProjects[0]
		}
		o.Tenants[name] = known
	}
	for _, a := range accounts {
		switch a.Provider {
		case "bird":
			o.BirdChannels[a.Name] = a.Channel
		case "sinch":
			o.SinchProjects[a.Name] = a.Project
		}
	}
	return o
}

// callbackEvents reads the types of the events that a tenant wants.
func callbackEvents(r *reader, cb *object) []string {
	events := cb.texts("events")
	f, _ := cb.field("events")
	types := callback.Types()
	for i, e := range events {
		if !slices.Contains(types, e) {
			r.fail(f.node, fmt.Sprintf("%s[%d]", f.path, i), "must be one of "+strings.Join(types, ", "))
		}
	}
	return events
}
