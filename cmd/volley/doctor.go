package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/config"
	"volley/internal/doctor"
	"volley/internal/index"
	"volley/internal/keywatch"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

// examination is how long all of `volley doctor` may take.
const examination = 15 * time.Second

func (a *app) doctorCommand() *cobra.Command {
	var offline bool
	var gateway string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything around Volley and say what to do",
		Long: `Checks the configuration, Temporal, its search attributes, who serves its queues,
the clock, the store, the index, the keyset and the accounts, side by side and within
15 s, and says what to do. No message is sent: an account is asked about past messages, logs in,
or, a webhook, is connected to; --offline leaves accounts out. Exit code 1 means that
something is wrong. Run it on each machine, with the environment of its workers.`,
		Example:           "  volley doctor --config examples/volley.yaml --offline",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.diagnose(cmd.Context(), a, offline, gateway)
			if err != nil {
				return err
			}
			return a.showReport(report)
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no provider")
	cmd.Flags().StringVar(&gateway, "gateway", "", "`URL` of a gateway that should be ready")
	return cmd
}

// diagnose looks at the real thing.
func diagnose(ctx context.Context, a *app, offline bool, gateway string) (doctor.Report, error) {
	checks, end, err := a.checks(ctx, offline, gateway)
	if err != nil {
		return doctor.Report{}, err
	}
	defer end()
	return doctor.Run(ctx, checks, examination), nil
}

// showReport prints what was found. Its error ends the program with the exit code of what
// could not be done, where something is wrong.
func (a *app) showReport(r doctor.Report) error {
	if a.json() {
		if err := a.print(r); err != nil {
			return err
		}
	} else {
		colours := map[doctor.Level]colour{doctor.OK: green, doctor.Warning: yellow, doctor.Wrong: red}
		t := &table{}
		for _, f := range r.Checks {
			text := f.Detail
			if f.Do != "" {
				text += " → " + f.Do
			}
			t.row(cell{string(f.Level), colours[f.Level]}, cell{f.Check, 0}, cell{text, 0})
		}
		a.table(t)
	}
	if !r.OK {
		return &exitError{code: exitFailed}
	}
	return nil
}

// checks are what there is to look at, and end closes what they use.
func (a *app) checks(ctx context.Context, offline bool, gateway string) (checks []doctor.Check, end func(), err error) {
	log := zap.NewNop() // what goes wrong is a finding
	c, found, configErr := a.config(config.Load)
	file := ""
	if found {
		file = a.configPath()
	}
	checks = append(checks, doctor.Config(c, file, configErr))
	accounts := configErr == nil
	unread := false
	if configErr != nil {
		// Secrets may be what is missing here. All else can be looked at.
		if c, _, err = a.config(config.LoadWithoutSecrets); err != nil {
			c, unread = config.Default(), true
		}
	}
	keyset, keysetErr := keysetOf(c)
	o := temporalclient.Options{Log: log, EnvLookup: a.env, Keyset: keyset}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return nil, nil, err
	}
	tc, err := temporalclient.DialLazily(o)
	if err != nil {
		return nil, nil, err
	}
	ends := []func(){tc.Close}
	st, openErr := store.Open(ctx, c.Store, store.Options{Log: log, Keyset: keyset, Namespace: settings.Namespace})
	if openErr == nil {
		ends = append(ends, func() { _ = st.Close() }) // nothing is under way
	}
	so := starterOptions(c, settings, log)
	so.Store = st
	b := starter.New(tc, so)
	look := func(ctx context.Context) error { return temporalclient.LookAtKeyset(ctx, tc, c.TaskQueue, o) }
	reports := func(ctx context.Context) ([]keywatch.Report, error) {
		return keywatch.Reports(ctx, tc.WorkflowService(), settings.Namespace, c.TaskQueue, a.now())
	}
	keys, large := doctor.Keyset(keyset, keysetErr, look, reports), doctor.Store(st, openErr, b.StoreIsNew)
	// Where the configuration cannot be read, nobody knows which keyset and which store are meant.
	if unread || configErr != nil && keysetErr != nil {
		keys = doctor.NotLookedAt(keys, "config")
	}
	if unread {
		large = doctor.NotLookedAt(large, "config")
	}
	checks = append(checks, a.checkTemporal(c, tc, settings, b, keys), large)
	if keysetErr == nil && !unread { // else it has been said
		checks = append(checks, doctor.Index(func(ctx context.Context) (*index.Index, error) { return a.openIndex(ctx, c, keyset) }))
	}
	if gateway != "" {
		checks = append(checks, doctor.Gateway(gateway, &http.Client{}))
	}
	switch {
	case offline:
		checks = append(checks, doctor.Unasked(c.Accounts())...)
	case accounts:
		registry, err := provider.Open(c.Accounts(), provider.Options{Log: log})
		if err != nil {
			return nil, nil, &exitError{code: exitUsage, err: err}
		}
		ends = append(ends, registry.Close)
		for _, x := range registry.Accounts() {
			checks = append(checks, doctor.Account(x, a.now, registry.Check))
		}
	}
	return checks, func() {
		for _, end := range ends {
			end()
		}
	}, nil
}

// checkTemporal looks at the server and at what is at it.
func (a *app) checkTemporal(c *config.Config, tc client.Client, settings client.Options, b *starter.Starter, keyset doctor.Check) doctor.Check {
	place := doctor.Place{Service: tc.WorkflowService(), Address: settings.HostPort, Namespace: settings.Namespace}
	var names []string
	for _, x := range c.Accounts() {
		names = append(names, x.Name)
	}
	return doctor.Behind(doctor.Temporal(place, c.StoreRetention), doctor.Attributes(b.Missing, starter.NeedsAttribute),
		doctor.Queues(place, c.TaskQueue, names, a.now), doctor.Clock(place, c.TaskQueue, nil), keyset)
}
