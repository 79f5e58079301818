package main

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"volley/internal/config"
	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/phone"
)

// input is a request as the flags describe it.
type input struct {
	// suppressed says who is on the suppression list; nil is nobody.
	suppressed                           func(tenant, region string, addresses []string) bool
	dialect, account, sendAfter, at, ttl string
	// text and channel stand for the header of a CSV file.
	text, channel, defaultRegion string
	metadata                     []string
	priority                     int
	awaitReports                 duration
	callbackURL                  string
	callbackEach                 bool
	// dispatch is empty unless it was asked for.
	dispatch string
	selection
}

func (in *input) flags(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&in.dialect, "dialect", "", "the request's format: bird, sinch, imkit, bluesky or volley")
	f.StringVar(&in.account, "account", "", "send through this `account` instead of the routes")
	f.StringVar(&in.sendAfter, "send-after", "", "due `T`: an RFC 3339 time or a duration from now such as 10m or 3d")
	atFlag(cmd, &in.at)
	f.StringVar(&in.ttl, "ttl", "", "validity `D` of messages without their own, counted from the due time")
	f.StringVar(&in.text, "text", "", "the text of a CSV file's messages, with ${column} filled in")
	f.StringVar(&in.channel, "channel", "", "the channel of a CSV file's messages")
	f.StringVar(&in.defaultRegion, "default-region", "", "where the phone numbers without a country code of a CSV file are written,\n`ISO 3166` as DE or US; default: the tenant's default_region")
	f.StringArrayVar(&in.metadata, "metadata", nil, "`key=value` of a CSV file's batch, as often as needed")
	f.IntVar(&in.priority, "priority", 0, "priority of a CSV file's batch, from 1 (first) to 5")
	f.Var(&in.awaitReports, "await-reports", "how long the messages of a CSV file's batch wait for their delivery reports, up to 72h")
	f.StringVar(&in.callbackURL, "callback-url", "", "where events of a CSV file's batch go, instead of the tenant's `URL`")
	f.BoolVar(&in.callbackEach, "callback-messages", false, "tell events of each message of a CSV file's batch, also above 1,000 messages")
	f.StringVar(&in.dispatch, "dispatch", "", "message (an activity for each attempt), group (one for many messages) or auto: groups for\nlarge batches, where a doubt can be resolved; default: what the request says, or auto")
	in.selection.flags(cmd)
	offer(cmd, "dialect", dialectNames()...)
	offer(cmd, "dispatch", "auto", "message", "group")
	complete(cmd, "account", a.completeAccounts)
}

// definingFlags are the flags that decide what the request means, as they were given.
func definingFlags(f *pflag.FlagSet) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"account", "send-after", "ttl", "dispatch", "strict", "text", "channel", "default-region", "metadata", "priority", "await-reports", "callback-url", "callback-messages", "to-column", "map", "ignore-columns", "skip-if", "unique"} {
		flag := f.Lookup(name)
		if flag == nil || !flag.Changed || flag.Value.Type() == "bool" && flag.Value.String() == "false" {
			continue
		}
		out[name] = flag.Value.String()
	}
	return out
}

// forCSV refuses flags that stand for the header of a CSV file beside a request
// that has a header of its own: they would change nothing, without a word.
func (in *input) forCSV(isCSV bool) error {
	switch {
	case isCSV:
		return nil
	case in.text != "":
		return usage("--text is for CSV files, the request has texts of its own")
	case in.channel != "":
		return usage("--channel is for CSV files, the request has channels of its own")
	case in.defaultRegion != "":
		return usage("--default-region is for CSV files, the request has a defaultRegion of its own or no place for one")
	case len(in.metadata) > 0:
		return usage("--metadata is for CSV files, the request has metadata of its own")
	case in.priority != 0:
		return usage("--priority is for CSV files, the request has a priority of its own")
	case in.awaitReports != 0:
		return usage("--await-reports is for CSV files, the request has awaitReports of its own")
	case in.callbackURL != "" || in.callbackEach:
		return usage("--callback-url and --callback-messages are for CSV files, the request has callbacks of its own")
	}
	return in.selection.forCSV()
}

func (in *input) check() error {
	switch in.dispatch {
	case "", message.DispatchAuto, message.DispatchMessage, message.DispatchGroup:
		return nil
	}
	return usage("--dispatch %q, expected auto, message or group", in.dispatch)
}

func (a *app) options(in input, c *config.Config) (o intake.Options, err error) {
	if in.dialect == "" {
		return o, usage("--dialect is missing, expected one of %v", dialectNames())
	}
	d, err := dialect.Named(in.dialect)
	if err != nil {
		return o, usage("--dialect: %w", err)
	}
	tenant, known := c.Tenants[a.tenant]
	if !known && a.tenant != "default" {
		return o, usage("tenant %q is not in the configuration", a.tenant)
	}
	if tenant.Dialects != nil && !slices.Contains(tenant.Dialects, d.Name) {
		return o, usage("tenant %q may not use the dialect %s", a.tenant, d.Name)
	}
	o = intake.Options{Dialect: d, Dispatch: in.dispatch, Suppressed: in.suppressed}
	o.Now, o.Account, o.Channel, o.Text = a.now(), in.account, in.channel, in.text
	if o.Metadata, err = in.pairs(); err != nil {
		return o, err
	}
	if o.Priority = in.priority; o.Priority < 0 || o.Priority > 5 {
		return o, usage("--priority %d: expected 1 (first) to 5", o.Priority)
	}
	if err := in.selection.options(&o); err != nil {
		return o, err
	}
	if o.DefaultRegion = in.defaultRegion; o.DefaultRegion != "" {
		if o.DefaultRegion, err = phone.Region(in.defaultRegion); err != nil {
			return o, usage("--default-region %q: %w", in.defaultRegion, err)
		}
	}
	o.AwaitReports = time.Duration(in.awaitReports)
	if in.callbackURL != "" || in.callbackEach {
		o.Callbacks = &message.Callbacks{URL: in.callbackURL, Messages: in.callbackEach}
	}
	if in.sendAfter != "" {
		if o.SendAfter, err = parseTime("send-after", in.sendAfter, o.Now); err != nil {
			return o, err
		}
	}
	if in.ttl != "" {
		o.TTL, err = parseSpan("ttl", in.ttl)
	}
	return o, err
}

// pairs is the metadata of the flags as an object; none is nil.
func (in *input) pairs() (json.RawMessage, error) {
	if len(in.metadata) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, pair := range in.metadata {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := m[key]; !ok || key == "" || twice {
			return nil, usage("--metadata %q: expected key=value, each key once", pair)
		}
		m[key] = value
	}
	return json.Marshal(m)
}

// clipped are the first problems, never nil.
func clipped(problems message.Problems, limit int) message.Problems {
	if limit >= 0 && len(problems) > limit {
		problems = problems[:limit]
	}
	if problems == nil {
		problems = message.Problems{}
	}
	return problems
}
