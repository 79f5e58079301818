package large

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
)

// cursorOf writes the cursor of a large batch: the message that
// the next page begins with, or one before it that was left out.
func cursorOf(at message.Location) string { return fmt.Sprintf("%d:%d", at.Segment, at.Pos) }

// ParseCursor reads a cursor that cursorOf wrote; an empty one is the beginning.
func ParseCursor(cursor string) (message.Location, error) {
	if cursor == "" {
		return message.Location{Segment: 1}, nil
	}
	segment, pos, ok := strings.Cut(cursor, ":")
	n, nerr := strconv.Atoi(segment)
	p, perr := strconv.Atoi(pos)
	if !ok || nerr != nil || perr != nil || n < 1 || p < 0 {
		return message.Location{}, server.Invalid("cursor %q is none that a page gave", cursor)
	}
	return message.Location{Segment: n, Pos: p}, nil
}

// Page cuts a page out of a large batch; a nil match wants all that q does.
func (v *View) Page(ctx context.Context, q message.PageQuery, match Match) (message.Page, error) {
	from, err := ParseCursor(q.Cursor)
	if err != nil {
		return message.Page{}, err
	}
	limit := min(cmp.Or(q.Limit, message.DefaultPage), message.MaxPage)
	page := message.Page{Messages: []message.Row{}}
	for p, err := range v.shown(ctx, from, filterOf(q), match) {
		if err != nil {
			return message.Page{}, err
		}
		if len(page.Messages) == limit {
			page.Next = cursorOf(p.Location)
			break
		}
		page.Messages = append(page.Messages, p.Row)
	}
	return page, nil
}

// Results yields the rows of a large batch, however many there are. Segments that the
// store has lost keep no others back: the error comes after all rows.
func (v *View) Results(ctx context.Context, q message.PageQuery, match Match, yield func(message.Row, error) bool) {
	var lost []error
	for p, err := range v.shown(ctx, message.Location{Segment: 1}, filterOf(q), match) {
		switch {
		case errors.Is(err, server.ErrNotFound): // of all of them
			yield(message.Row{}, err)
			return
		case store.Lost(err):
			lost = append(lost, err)
		case err != nil:
			yield(message.Row{}, err)
			return
		case !yield(p.Row, nil):
			return
		}
	}
	if len(lost) > 0 {
		yield(message.Row{}, fmt.Errorf("the rows of %s are missing: %w", message.Plural(len(lost), "segment"), lost[0]))
	}
}
