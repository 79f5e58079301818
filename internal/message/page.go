package message

import (
	"cmp"
	"fmt"
	"strconv"
)

// Bounds of a page.
const (
	DefaultPage = 100
	MaxPage     = 500
)

// Pages cuts pages from a batch of total messages. at tells the state and the
// rev of a message, row shows it; row is called for messages of those states
// only. A page ends early where its rows have no more room. It fails when the query names no known state or has a cursor that no
// page gave.
func Pages(q PageQuery, total int, at func(i int) (State, int64), row func(i int) Row) (Page, error) {
	page := Page{Messages: []Row{}}
	from := 0
	if q.Cursor != "" {
		n, err := strconv.Atoi(q.Cursor)
		if err != nil || n < 0 || n > total {
			return page, fmt.Errorf("cursor %q is none that a page gave", q.Cursor)
		}
		from = n
	}
	want, err := ParseStates(q.State)
	if err != nil {
		return page, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultPage
	}
	limit = min(limit, MaxPage)
	room := cmp.Or(q.Room, maxPayload)
	for i := from; i < total; i++ {
		state, rev := at(i)
		if !want.Has(state) || rev <= q.Since {
			continue
		}
		shown := row(i)
		if q.Code != "" && shown.Code != q.Code {
			continue
		}
		if len(page.Messages) == limit {
			page.Next = strconv.Itoa(i)
			break
		}
		if room -= shown.size() + jsonSize(shown.Detail); room < 0 && len(page.Messages) > 0 {
			page.Next = strconv.Itoa(i)
			break
		}
		page.Messages = append(page.Messages, shown)
	}
	return page, nil
}
