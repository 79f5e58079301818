package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"volley/internal/config"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
)

const (
	// littleSpace is how much a file store needs for some large batches.
	littleSpace = 1 << 30
	// slowStore is how long a probe of the store may take.
	slowStore = 2 * time.Second
	// dateSlack is how far the time in a provider's answer may be from this machine's.
	dateSlack = 5 * time.Second
)

// Config looks at the configuration: what is wrong with it, which of its parts can do
// nothing, and what is weak. file is where it comes from; empty is that there is none.
func Config(c *config.Config, file string, err error) Check {
	const name = "config"
	return Check{name, func(context.Context) []Finding {
		var bad *config.Error
		switch {
		case errors.As(err, &bad):
			var found []Finding
			for _, p := range bad.Problems {
				found = append(found, wrong(name, "", "%s:%s", bad.File, p))
			}
			return found
		case err != nil:
			return []Finding{wrong(name, "", "%s", plain(err))}
		case file == "":
			return []Finding{warning(name, "write a volley.yaml (--config, VOLLEY_CONFIG)", "there is none, so there are no accounts")}
		}
		found := []Finding{ok(name, "%s: %s, %s, %s", file, message.Plural(len(c.Accounts()), "account"), message.Plural(len(c.Routes), "route"), message.Plural(len(c.Tenants), "tenant"))}
		if len(c.Accounts()) == 0 {
			found = append(found, warning(name, "add accounts", "nothing can be sent without an account"))
		}
		for _, tenant := range c.WeakTenants() {
			found = append(found, warning(name, "openssl rand -hex 16", "a key of tenant %s has fewer than %d characters, so it can be guessed", tenant, config.MinKey))
		}
		return found
	}}
}

// Store looks whether the store has its marker, whether objects can be written, read and
// removed, how long that takes, and how much room is left. openErr is why it did not open, and
// isNew says of one without a marker why it is none that is new.
func Store(s *store.Store, openErr error, isNew func(context.Context) error) Check {
	const name = "store"
	return Check{name, func(ctx context.Context) []Finding {
		if openErr != nil {
			return []Finding{wrong(name, "set `store` right, and its credentials", "%s", plain(openErr))}
		}
		took, err := s.Probe(ctx)
		switch {
		case errors.Is(err, store.ErrAway):
			why := isNew(ctx)
			switch {
			case errors.Is(why, store.ErrAway):
				return []Finding{wrong(name, "mount it", "%s", plain(why))}
			case why != nil:
				return []Finding{warning(name, "mount it; where it is new, volley setup", "%s; whether a batch runs out of it cannot be known", plain(err))}
			}
			if err := s.Creatable(ctx); err != nil {
				return []Finding{wrong(name, "set `store` right, or give the rights", "it is not there, and cannot be made: %s", plain(err))}
			}
			return []Finding{warning(name, "mount it; where it is new, volley setup or the first large batch makes it", "%s; no batch runs out of it", plain(err))}
		case err != nil:
			return []Finding{wrong(name, "see the rights and the room of the store", "%s", plain(err))}
		}
		left, known := s.Free()
		text := fmt.Sprintf("an object was written, read and removed in %d ms", took.Milliseconds())
		if known {
			text += ", " + humanize.IBytes(uint64(left)) + " free"
		}
		switch {
		case known && left < littleSpace:
			return []Finding{warning(name, "make room, or volley purge", "%s: that is little for large batches", text)}
		case took > slowStore:
			return []Finding{warning(name, "have it near the workers", "%s: large batches wait for it", text)}
		}
		return []Finding{ok(name, "%s", text)}
	}}
}

// Account looks whether an account works, without sending: a question about past messages,
// a login, or a connection. ask makes that request.
func Account(a provider.Account, now func() time.Time, ask func(context.Context, string) (time.Time, error)) Check {
	name := "account " + a.Name
	return Check{name, func(ctx context.Context) []Finding {
		date, err := ask(ctx, a.Name)
		var e *provider.Error
		switch {
		case err == nil:
		case !errors.As(err, &e):
			return []Finding{wrong(name, "", "%s", plain(err))}
		case e.Kind == provider.Throttled:
			return []Finding{warning(name, "ask again later", "%s answers that there are too many requests", a.Provider)}
		case e.Kind == provider.Unauthorized:
			return []Finding{wrong(name, "set its credentials right, then restart the workers", "%s refuses its credentials: %s", a.Provider, cmp.Or(e.Detail, e.Code))}
		case e.Kind == provider.Unavailable || e.Kind == provider.Ambiguous:
			return []Finding{wrong(name, "see whether this machine reaches it", "%s does not answer: %s", a.Provider, cmp.Or(e.Detail, e.Code))}
		default:
			return []Finding{wrong(name, "see its settings", "%s refuses to say: %s %s", a.Provider, e.Code, e.Detail)}
		}
		if off := now().Sub(date); !date.IsZero() && off.Abs() > dateSlack {
			return []Finding{warning(name, "set this machine's clock by NTP", "%s says that it is %s there, which is %s off", a.Provider, date.UTC().Format(time.RFC3339), off.Abs().Round(time.Second))}
		}
		if a.Provider == "webhook" {
			return []Finding{ok(name, "its host can be reached; no request was made")}
		}
		return []Finding{ok(name, "%s takes its credentials; nothing was sent", a.Provider)}
	}}
}

// Gateway looks whether a gateway at a URL is ready, and one of Volley's: another server
// may well answer 200 to everything.
func Gateway(url string, c *http.Client) Check {
	const name = "gateway"
	url = strings.TrimSuffix(url, "/")
	return Check{name, func(ctx context.Context) []Finding {
		status, body, err := get(ctx, c, url+"/readyz")
		switch {
		case errors.Is(err, errURL):
			return []Finding{wrong(name, "give --gateway a URL such as http://localhost:8080", "%s", plain(err))}
		case err != nil:
			return []Finding{wrong(name, "start it: volley gateway", "%s", plain(err))}
		case status != http.StatusOK:
			return []Finding{wrong(name, "see its log", "%s answers %s", url, strings.TrimSuffix(fmt.Sprintf("%d: %s", status, message.Clip(plain(errors.New(body)), shownAnswer)), ": "))}
		}
		if strings.TrimSpace(body) == "ok" {
			status, body, err = get(ctx, c, url+"/openapi.json")
		}
		if err != nil || status != http.StatusOK || !strings.Contains(body, ownPath) {
			return []Finding{wrong(name, "give --gateway the address of volley gateway", "%s answers, and is no gateway of Volley's", url)}
		}
		return []Finding{ok(name, "%s is ready", url)}
	}}
}

const (
	// mostAnswer is how many bytes of an answer are read, and shownAnswer how many are shown.
	mostAnswer, shownAnswer = 1 << 20, 100
	// ownPath is in the document of every gateway.
	ownPath = `"/v1/batches"`
)

// errURL is that of what is no URL.
var errURL = errors.New("no URL")

// get is the answer to a request.
func get(ctx context.Context, c *http.Client, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || req.URL.Host == "" {
		return 0, "", fmt.Errorf("%q: %w", url, errURL)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	return res.StatusCode, string(data), err
}

// Unasked says which accounts were not asked, as --offline wants it.
func Unasked(accounts []provider.Account) []Check {
	if len(accounts) == 0 {
		return nil
	}
	names := make([]string, 0, len(accounts))
	for i := range accounts {
		names = append(names, accounts[i].Name)
	}
	slices.Sort(names)
	return []Check{{"accounts", func(context.Context) []Finding {
		return []Finding{ok("accounts", "not asked: %s", strings.Join(names, ", "))}
	}}}
}
