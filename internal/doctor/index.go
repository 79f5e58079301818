package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"volley/internal/index"
	"volley/internal/message"
)

// Index looks whether the index answers, and whether people stand in it in clear. open opens
// it; nil is that there is none.
func Index(open func(context.Context) (*index.Index, error)) Check {
	const name = "index"
	return Check{name, func(ctx context.Context) (found []Finding) {
		x, err := open(ctx)
		switch {
		case errors.Is(err, index.ErrKeys):
			return []Finding{wrong(name, "give this machine the keyset of the others (encryption.keyset)", "%s", plain(err))}
		case err != nil:
			return []Finding{wrong(name, "see index.url, and whether the database runs and has room", "%s", plain(err))}
		case x == nil:
			return []Finding{ok(name, "none: there is no find, stats and stuck")}
		}
		defer func() {
			if err := x.Close(); err != nil {
				found = append(found, warning(name, "", "%s", plain(err)))
			}
		}()
		s, err := x.Status(ctx)
		if err != nil {
			return []Finding{wrong(name, "see whether the database runs and has room", "%s", plain(err))}
		}
		text := fmt.Sprintf("%s, %s, %s", s.Kind, humanize.IBytes(uint64(max(s.Bytes, 0))), message.Plural(int(s.Messages), "message")) //nolint:gosec // not below 0
		switch {
		case s.Schema > s.Newest:
			return []Finding{warning(name, "update this machine", "%s; a newer version of Volley made its tables", text)}
		case s.Encrypted && s.Plain:
			return []Finding{warning(name, "where that must not be, make it anew", "%s; recipients of before encryption was on stand in it in clear until their time is over", text)}
		case s.Plain:
			return []Finding{ok(name, "%s; recipients stand in it in clear, as encryption is off", text)}
		}
		return []Finding{ok(name, "%s; recipients are encrypted", text)}
	}}
}
