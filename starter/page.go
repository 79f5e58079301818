package starter

import (
	"strconv"

	"volley/internal/message"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
)

// checkPage refuses a state, limit or cursor that makes no sense before anybody
// is asked. A limit above message.MaxPage is cut: Next leads to the rest.
func checkPage(q message.PageQuery) error {
	if q.Limit < 0 {
		return server.Invalid("limit %d: expected 1 to %d", q.Limit, message.MaxPage)
	}
	if _, err := message.ParseStates(q.State); err != nil {
		return server.Invalid("%s", err)
	}
	if err := q.Selector.Check(); err != nil {
		return server.Invalid("%s", err)
	}
	if _, err := large.ParseCursor(q.Cursor); err != nil && checkCursor(q) != nil {
		return err
	}
	return nil
}

// checkCursor refuses a cursor that no page of a small batch gave.
func checkCursor(q message.PageQuery) error {
	if n, err := strconv.Atoi(q.Cursor); q.Cursor != "" && (err != nil || n < 0) {
		return server.Invalid("cursor %q is none that a page gave", q.Cursor)
	}
	return nil
}
