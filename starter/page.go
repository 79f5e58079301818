package starter

import (
	"fmt"
	"strconv"
	"strings"

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
		if _, err := spotOf(q.Cursor); err != nil && checkCursor(q) != nil {
			return err
		}
	}
	return nil
}

// checkCursor refuses a cursor that no page of a small batch gave.
func checkCursor(q message.PageQuery) error {
	if q.Cursor == "" {
		return nil
	}
	if n, err := strconv.Atoi(q.Cursor); err != nil || n < 0 {
		return invalid("cursor %q is none that a page gave", q.Cursor)
	}
	return nil
}

// cursorOf and spotOf write and read the cursor of a large batch: the message that
// the next page begins with, or one before it that was left out.
func cursorOf(at message.Spot) string { return fmt.Sprintf("%d:%d", at.Segment, at.Pos) }

func spotOf(cursor string) (message.Spot, error) {
	if cursor == "" {
		return message.Spot{Segment: 1}, nil
	}
	segment, pos, ok := strings.Cut(cursor, ":")
	n, nerr := strconv.Atoi(segment)
	p, perr := strconv.Atoi(pos)
	if !ok || nerr != nil || perr != nil || n < 1 || p < 0 {
		return message.Spot{}, invalid("cursor %q is none that a page gave", cursor)
	}
	return message.Spot{Segment: n, Pos: p}, nil
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
