package config

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
)

// Traces says where OpenTelemetry spans go. The zero value is that there are none.
type Traces struct {
	// On means that the file has the key otel, and that what it refers to is set.
	On bool
	// Endpoint is the collector's base address, which may hold a password; empty is what the
	// standard OTEL_ variables say.
	Endpoint Secret
	// Sample is the share of traces that are kept, from 0 to 1; below 0 it is what
	// OTEL_TRACES_SAMPLER says, or else all.
	Sample float64
}

func (c *Config) readTraces(r *reader, top *object) {
	o := top.child("otel")
	if slices.Contains(top.names, "otel") {
		c.Traces = Traces{On: true, Sample: -1}
		o.secret("endpoint", &c.Traces.Endpoint)
		if f, given := o.field("endpoint"); given && c.Traces.Endpoint.IsZero() {
			c.Traces.On = false // it refers to a variable that a command need not have
		} else if !c.Traces.Endpoint.IsZero() && !isHTTP(c.Traces.Endpoint.Reveal()) {
			r.fail(f.node, f.path, "must be a URL such as http://collector:4318")
		}
		parsed(o, "sample", &c.Traces.Sample, parseShare)
	}
	o.finish()
}

// isHTTP reports whether an address is one of HTTP.
func isHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func parseShare(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, errors.New("must be a number from 0 to 1, such as 0.1")
	}
	return n, nil
}
