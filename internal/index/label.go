package index

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"volley/internal/message"
)

// label is what many messages have in common.
type label struct {
	account, channel, country string
	state                     message.State
	code                      string
}

// labelsOf are the numbers of the labels of messages. New ones are written at once, so that
// no transaction waits for another one's.
func (x *Index) labelsOf(ctx context.Context, entries []entry) (map[label]int64, error) {
	wanted := map[label]int64{}
	var missing []label
	x.mu.Lock()
	for i := range entries {
		l := entries[i].label
		if _, seen := wanted[l]; seen {
			continue
		}
		n, ok := x.labels[l]
		if wanted[l] = n; !ok {
			missing = append(missing, l)
		}
	}
	x.mu.Unlock()
	if len(missing) == 0 {
		return wanted, nil
	}
	slices.SortFunc(missing, label.compare)
	err := x.db.change(ctx, func(t *tx) error {
		for _, l := range missing {
			n, err := t.putLabel(l)
			if err != nil {
				return err
			}
			wanted[l] = n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.labels)+len(missing) > maxLabels {
		clear(x.labels)
	}
	for _, l := range missing {
		x.labels[l] = wanted[l]
	}
	return wanted, nil
}

// maxLabels is how many labels are remembered.
const maxLabels = 50_000

func (l label) compare(m label) int {
	return cmp.Or(strings.Compare(l.account, m.account), strings.Compare(l.channel, m.channel), strings.Compare(l.country, m.country),
		cmp.Compare(l.state, m.state), strings.Compare(l.code, m.code))
}

func (t *tx) putLabel(l label) (n int64, err error) {
	const find = "SELECT id FROM label WHERE account = ? AND channel = ? AND country = ? AND state = ? AND code = ?"
	args := []any{l.account, l.channel, l.country, int64(l.state), l.code}
	found, err := t.one(find, args, &n)
	if err != nil || found {
		return n, err
	}
	if _, err := t.exec("INSERT INTO label (account, channel, country, state, code) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", args...); err != nil {
		return 0, err
	}
	_, err = t.one(find, args, &n)
	return n, err
}
