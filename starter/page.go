package starter

import (
	"strconv"

	"volley/internal/message"
)

// checkPage refuses a state, limit or cursor that makes no sense before anybody
// is asked. A limit above message.MaxPage is cut: Next leads to the rest.
func checkPage(q message.PageQuery) error {
	if q.Limit < 0 {
		return invalid("limit %d: expected 1 to %d", q.Limit, message.MaxPage)
	}
	if q.State != "" {
		if _, err := message.ParseState(q.State); err != nil {
			return invalid("%s", err)
		}
	}
	if q.Cursor != "" {
		if n, err := strconv.Atoi(q.Cursor); err != nil || n < 0 {
			return invalid("cursor %q is none that a page gave", q.Cursor)
		}
	}
	return nil
}

// pageOf cuts a page out of all rows of a batch, just as its workflow would.
func pageOf(rows []message.Row, q message.PageQuery) (message.Page, error) {
	page, err := message.Pages(q, len(rows),
		func(i int) (message.State, int64) { return rows[i].State, rows[i].Rev },
		func(i int) message.Row { return rows[i] })
	if err != nil {
		return message.Page{}, invalid("%s", err)
	}
	return page, nil
}
