package config

import (
	"cmp"
	"errors"
	"net/url"
	"path"
	"slices"
	"time"
)

// Index is the SQL database of `volley find` and what else asks across batches.
type Index struct {
	// URL is sqlite:///path or postgres://…; empty is no index. URLUnset means that the file
	// names a variable for it that is not set here.
	URL      Secret
	URLUnset bool
	// Retention is how long messages stay after their batch ended, StatsRetention how long
	// batches, counters and the audit do.
	Retention, StatsRetention time.Duration
}

// minRetention lets a day's messages be found the next morning.
const minRetention = 24 * time.Hour

// readIndex reads where the index is. That the key is there and says nothing is an error,
// as it is for encryption.
func (c *Config) readIndex(r *reader, top *object) {
	o, x := top.child("index"), &c.Index
	if slices.Contains(top.names, "index") {
		o.at = cmp.Or(o.at, top.at)
		o.require("url")
		o.secret("url", &x.URL)
		x.URLUnset = r.bare && x.URL.IsZero()
		if f, ok := o.field("url"); ok && !x.URL.IsZero() {
			if err := checkIndexURL(x.URL.Reveal()); err != nil {
				r.fail(f.node, f.path, "%v", err)
			}
		}
	}
	o.duration("retention", &x.Retention, minRetention, 10*365*24*time.Hour)
	o.duration("stats_retention", &x.StatsRetention, minRetention, 10*365*24*time.Hour)
	if f, ok := o.field("stats_retention"); ok && x.StatsRetention < x.Retention {
		r.fail(f.node, f.path, "must not be shorter than index.retention, which is %s", x.Retention)
	}
	o.finish()
}

// checkIndexURL accepts the address of a database. A wrong one is not repeated: it may hold
// a password.
func checkIndexURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
	case u.Scheme == "sqlite":
		if u.Host == "" && path.IsAbs(u.Path) && path.Clean(u.Path) == u.Path && u.Path != "/" && u.RawQuery == "" && u.Fragment == "" {
			return nil
		}
		return errors.New("must be the path of a file from the root, with three slashes, such as sqlite:///var/lib/volley/index.db")
	case u.Scheme == "postgres" || u.Scheme == "postgresql":
		if u.Host != "" || u.Query().Has("host") {
			return nil
		}
		return errors.New("must name a host, such as postgres://volley:${PASSWORD}@db.example.com/volley")
	}
	return errors.New("must be an address such as sqlite:///var/lib/volley/index.db or postgres://volley:${PASSWORD}@db.example.com/volley")
}
